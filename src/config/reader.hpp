// Reads values out of a tree that check_structure has accepted: a key that is absent leaves the
// target as it was. Inside config/ only.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/secret.hpp"
#include "config/json_tree.hpp"
#include "config/relay_config.hpp"
#include "inet/address.hpp"

namespace smartvpn::config {

class Reader {
 public:
  explicit Reader(const Json& json) : json_(&json) {}

  bool has(std::string_view key) const { return find(key) != nullptr; }
  Reader at(std::string_view key) const { return Reader(find(key)); }
  // Elements of the list under `key`; none if absent.
  std::vector<Reader> list(std::string_view key) const;

  void read(std::string_view key, std::string& out) const;
  void read(std::string_view key, bool& out) const;
  void read(std::string_view key, std::vector<std::string>& out) const;
  void read(std::string_view key, std::vector<inet::IpAddress>& out) const;
  void read(std::string_view key, std::vector<inet::Cidr>& out) const;
  void read(std::string_view key, std::optional<inet::Endpoint>& out) const;
  void read(std::string_view key, std::optional<SecretKey>& out) const;
  void read(std::string_view key, PublicKey& out) const;
  void read(std::string_view key, std::vector<PortRange>& out) const;
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void read(std::string_view key, T& out) const {
    if (auto value = integer(key)) out = static_cast<T>(*value);
  }
  template <class E>
  void choose(std::string_view key, E& out, std::initializer_list<std::pair<std::string_view, E>> choices) const {
    std::string word;
    read(key, word);
    for (const auto& [name, value] : choices)
      if (name == word) out = value;
  }

  std::optional<int64_t> integer(std::string_view key) const;  // nothing if absent or no integer
  std::optional<bool> boolean(std::string_view key) const;
  std::string text() const;  // this value itself, if it is a text

 private:
  explicit Reader(const Json* json) : json_(json) {}
  const Json* find(std::string_view key) const;
  const Json* json_;  // null: absent
};

}  // namespace smartvpn::config
