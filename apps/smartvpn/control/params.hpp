// A request's parameters by name and type. Whatever is wrong is a Failure with status INVALID and the
// parameter's path.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "c_api.hpp"

namespace smartvpn::cli {

class Params {
 public:
  explicit Params(nlohmann::json object) : object_(std::move(object)) {}

  bool has(const char* key) const { return object_.contains(key); }
  std::string text(const char* key) const;
  // `fallback` where it is absent.
  std::string text(const char* key, const char* fallback) const { return has(key) ? text(key) : fallback; }
  uint64_t number(const char* key) const;
  uint64_t number(const char* key, uint64_t fallback) const { return has(key) ? number(key) : fallback; }
  bool flag(const char* key) const;  // false where it is absent
  // An object or list as JSON text, for the library to read.
  SecretText json(const char* key) const;
  SecretText json() const;
  // Every key is one of `allowed` (blanks between), or "*" is.
  void check_keys(std::string_view allowed) const;

 private:
  const nlohmann::json& at(const char* key) const;

  nlohmann::json object_;
};

}  // namespace smartvpn::cli
