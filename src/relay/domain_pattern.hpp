// Which names a route is for. A pattern is compiled once from configuration; names come as
// relay::normalise_host leaves them, so matching is a comparison of bytes.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace smartvpn::relay {

class DomainPattern {
 public:
  // Case does not count, nor does one trailing dot:
  //   example.com      that name
  //   *.example.com    names with one or more labels in front of it, not the bare name
  //   *                every known name
  // Anything else, addresses included, is INVALID with that path.
  static Result<DomainPattern> parse(std::string_view text, std::string_view path);

  // False for "", the unknown name. Any thread.
  bool matches(std::string_view normalised_host) const noexcept;
  // Of the patterns that match a name the one with the highest number is meant: exact, then the longer
  // wildcard, then `*`. No two different patterns that match one name have the same number.
  uint32_t specificity() const noexcept;
  std::string text() const;  // in lower case, without the trailing dot

  friend bool operator==(const DomainPattern&, const DomainPattern&) = default;

 private:
  enum class Kind : uint8_t { exact, below, every };
  DomainPattern(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}

  Kind kind_;
  std::string name_;  // exact: the name; below: with the dot in front, ".example.com"; every: ""
};

}  // namespace smartvpn::relay
