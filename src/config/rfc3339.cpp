// RFC 3339 date-times by position; the calendar is std::chrono's.
#include "config/rfc3339.hpp"

#include <chrono>

namespace smartvpn::config {
namespace {

// Takes exactly `count` digits and then, unless it is 0, the character `after`.
std::optional<int> take(std::string_view& text, size_t count, char after) {
  if (text.size() < count + (after ? 1 : 0)) return std::nullopt;
  int value = 0;
  for (char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (after && (text[count] | 0x20) != (after | 0x20)) return std::nullopt;
  text.remove_prefix(count + (after ? 1 : 0));
  return value;
}

std::optional<int> take_fraction_ms(std::string_view& text) {
  if (text.empty() || text[0] != '.') return 0;
  text.remove_prefix(1);
  int value = 0, digits = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits)
    if (digits < 3) value = value * 10 + (text[0] - '0');
  if (digits == 0) return std::nullopt;
  for (; digits < 3; ++digits) value *= 10;
  return value;
}

std::optional<int> take_offset_minutes(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  auto hours = take(text, 2, ':');
  auto minutes = hours ? take(text, 2, 0) : std::nullopt;
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

}  // namespace

std::optional<int64_t> parse_rfc3339_ms(std::string_view text) noexcept {
  using namespace std::chrono;
  auto year_number = take(text, 4, '-');
  auto month_number = year_number ? take(text, 2, '-') : std::nullopt;
  auto day_number = month_number ? take(text, 2, 'T') : std::nullopt;
  auto hour = day_number ? take(text, 2, ':') : std::nullopt;
  auto minute = hour ? take(text, 2, ':') : std::nullopt;
  auto second = minute ? take(text, 2, 0) : std::nullopt;
  auto fraction = second ? take_fraction_ms(text) : std::nullopt;
  auto offset = fraction ? take_offset_minutes(text) : std::nullopt;
  if (!offset || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  year_month_day date{year(*year_number), month(static_cast<unsigned>(*month_number)),
                      day(static_cast<unsigned>(*day_number))};
  if (!date.ok()) return std::nullopt;
  int64_t days = sys_days(date).time_since_epoch().count();
  int64_t total_seconds = days * 86400 + *hour * 3600 + (*minute - *offset) * 60 + *second;
  return total_seconds < 0 ? std::nullopt : std::optional(total_seconds * 1000 + *fraction);
}

}  // namespace smartvpn::config
