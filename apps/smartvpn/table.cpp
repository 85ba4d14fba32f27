// See table.hpp.
#include "table.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <string_view>

namespace smartvpn::cli {
namespace {

constexpr size_t kGap = 2;  // blanks between columns
constexpr size_t kMinWidth = 20;

// UTF-8 continuation bytes take no place of their own.
size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string_view cut(std::string_view text, size_t width) {
  size_t seen = 0, end = 0;
  for (; end < text.size(); ++end)
    if ((text[end] & 0xc0) != 0x80 && ++seen > width) break;
  return text.substr(0, end);
}

void trim_line(std::string& out) {
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out += '\n';
}

bool is_moment(std::string_view key) {
  constexpr std::array<std::string_view, 6> kMoments = {"since", "last_seen", "expires_at", "until", "started", "time"};
  return std::find(kMoments.begin(), kMoments.end(), key) != kMoments.end();
}

std::string scalar_text(std::string_view key, const nlohmann::ordered_json& value) {
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_integer() && is_moment(key) && value.get<int64_t>() > 0) return human_time(value.get<int64_t>());
  return value.dump();
}

bool is_nested(const nlohmann::ordered_json& value) {
  return !value.empty() && (value.is_object() || (value.is_array() && value[0].is_object()));
}

std::string line_text(std::string_view key, const nlohmann::ordered_json& value) {
  if (!value.is_structured()) return scalar_text(key, value);
  std::string text;
  for (const auto& item : value) text += (text.empty() ? "" : " ") + scalar_text(key, item);
  return text.empty() ? "none" : text;
}

void append_tree(std::string& out, const nlohmann::ordered_json& object, size_t indent) {
  size_t width = 0;
  for (const auto& [key, value] : object.items())
    if (!is_nested(value)) width = std::max(width, characters(key));
  std::string margin(indent, ' ');
  for (const auto& [key, value] : object.items()) {
    std::string name = printable(key);
    if (!is_nested(value)) {
      out += margin + name + std::string(width + kGap - characters(name), ' ') + line_text(key, value);
      trim_line(out);
    } else if (value.is_object()) {
      out += margin + name + "\n";
      append_tree(out, value, indent + 2);
    } else {
      for (size_t i = 0; i < value.size(); ++i) {
        out += margin + name + " " + std::to_string(i) + "\n";
        append_tree(out, value[i], indent + 2);
      }
    }
  }
}

}  // namespace

std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  // U+0080 to U+009F are control characters too, which some terminals obey.
  for (size_t i = 0; i + 1 < text.size(); ++i)
    if (text[i] == '\xc2' && static_cast<unsigned char>(text[i + 1]) < 0xa0) text.replace(i, 2, "?");
  return text;
}

std::string human_bytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  int decimals = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, bytes, kUnits[unit]);
  return text.data();
}

std::string human_duration(int64_t ms) {
  int64_t s = std::max<int64_t>(ms, 0) / 1000;
  auto two = [](int64_t a, const char* big, int64_t b, const char* small) {
    std::string text = std::to_string(a) + big;
    return b == 0 ? text : text + " " + std::to_string(b) + small;
  };
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min";
  if (s < 86400) return two(s / 3600, " h", s % 3600 / 60, " min");
  return two(s / 86400, " d", s % 86400 / 3600, " h");
}

std::string human_time(int64_t ms) {
  std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  std::array<char, 40> text{};
  if (!::gmtime_r(&seconds, &parts)) return std::to_string(ms);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

void Table::add(std::vector<std::string> row) {
  row.resize(columns_.size());
  for (auto& cell : row) cell = printable(std::move(cell));
  rows_.push_back(std::move(row));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> widths;
  for (const auto& column : columns_) widths.push_back(characters(column.title));
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], characters(row[i]));
  return widths;
}

std::vector<bool> Table::chosen(const std::vector<size_t>& widths, size_t width) const {
  std::vector<bool> chosen(columns_.size(), true);
  auto total = [&] {
    size_t sum = 0;
    for (size_t i = 0; i < widths.size(); ++i)
      if (chosen[i]) sum += widths[i] + (sum == 0 ? 0 : kGap);
    return sum;
  };
  while (width != 0 && total() > width && std::count(chosen.begin(), chosen.end(), true) > 1) {
    size_t least = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i)
      if (chosen[i] && (least == columns_.size() || columns_[i].importance < columns_[least].importance)) least = i;
    chosen[least] = false;
  }
  return chosen;
}

std::string Table::text(size_t width) const {
  if (width != 0) width = std::max(width, kMinWidth);
  std::vector<size_t> all = widths();
  std::vector<bool> shown = chosen(all, width);
  std::string out;
  auto line = [&](auto&& cell_of) {
    size_t left = width;
    bool first = true;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!shown[i]) continue;
      if (!first) out.append(kGap, ' ');
      if (!first && width != 0) left -= std::min(left, kGap);
      first = false;
      size_t wide = width == 0 ? all[i] : std::min(all[i], left);
      std::string_view cell = cut(cell_of(i), wide);
      size_t blanks = wide - characters(cell);
      if (columns_[i].right) out.append(blanks, ' ');
      out.append(cell);
      if (!columns_[i].right) out.append(blanks, ' ');
      if (width != 0) left -= wide;
    }
    trim_line(out);
  };
  line([&](size_t i) -> std::string_view { return columns_[i].title; });
  for (const auto& row : rows_) line([&](size_t i) -> std::string_view { return row[i]; });
  return out;
}

std::string tree_text(const nlohmann::ordered_json& object) {
  std::string out;
  append_tree(out, object, 0);
  return out;
}

size_t terminal_width(int fd) {
  winsize size{};
  if (::isatty(fd) != 1 || ::ioctl(fd, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col == 0 ? 80 : size.ws_col;
}

}  // namespace smartvpn::cli
