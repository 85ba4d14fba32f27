// Third-party vectors as JSON, and their hex fields as bytes. A missing file or a bad field throws,
// which fails the test that asked.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "base/bytes.hpp"
#include "base/secret.hpp"

namespace smartvpn::testing {

inline nlohmann::json load_vectors(const std::string& name) {
  std::ifstream file(std::string(SMARTVPN_VECTORS_DIR) + "/" + name);
  if (!file) throw std::runtime_error("no vectors: " + name);
  return nlohmann::json::parse(file);
}

inline Bytes unhex(const nlohmann::json& text) {
  auto bytes = from_hex(text.get<std::string>());
  if (!bytes) throw std::runtime_error("not hex: " + text.dump());
  return *bytes;
}

template <size_t N>
std::array<uint8_t, N> unhex_array(const nlohmann::json& text) {
  Bytes bytes = unhex(text);
  if (bytes.size() != N) throw std::runtime_error("wrong length: " + text.dump());
  std::array<uint8_t, N> out;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

inline SecretKey unhex_secret(const nlohmann::json& text) { return SecretKey(unhex_array<32>(text)); }

}  // namespace smartvpn::testing
