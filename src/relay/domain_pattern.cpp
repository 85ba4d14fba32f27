// A wildcard is kept as the suffix it stands for, dot included, so that `*.example.com` cannot match
// "badexample.com".
#include "relay/domain_pattern.hpp"

#include "relay/host_name.hpp"

namespace smartvpn::relay {
namespace {

constexpr uint32_t kExactSpecificity = 1024;  // above the length of every suffix

Error not_a_pattern(std::string_view text, std::string_view path) {
  std::string shown;  // configuration may hold anything, a log should not
  for (char c : text.substr(0, 64)) shown += c > 0x20 && c < 0x7f ? c : '?';
  return make_error(Status::INVALID,
                    "\"" + shown + "\" is not a domain name (example.com), a wildcard (*.example.com) or *",
                    std::string(path));
}

}  // namespace

Result<DomainPattern> DomainPattern::parse(std::string_view text, std::string_view path) {
  if (text == "*") return DomainPattern(Kind::every, {});
  const bool below = text.starts_with("*.");
  auto name = normalise_host(below ? text.substr(2) : text);
  if (!name) return not_a_pattern(text, path);
  return below ? DomainPattern(Kind::below, "." + *name) : DomainPattern(Kind::exact, std::move(*name));
}

bool DomainPattern::matches(std::string_view host) const noexcept {
  switch (kind_) {
    case Kind::exact:
      return host == name_;
    case Kind::below:
      return host.size() > name_.size() && host.ends_with(name_);
    case Kind::every:
      break;
  }
  return !host.empty();
}

uint32_t DomainPattern::specificity() const noexcept {
  return kind_ == Kind::exact ? kExactSpecificity : static_cast<uint32_t>(name_.size());
}

std::string DomainPattern::text() const { return kind_ == Kind::exact ? name_ : "*" + name_; }

}  // namespace smartvpn::relay
