// `smartvpn keygen` and `smartvpn pubkey`: key pairs as text.
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "c_api.hpp"
#include "commands.hpp"

namespace smartvpn::cli {
namespace {

SecretText new_private_key() {
  SecretText key(std::string(SMARTVPN_KEY_SIZE, '\0'));
  call([&](smartvpn_error** error) {
    return smartvpn_key_generate(key.text().data(), key.text().size(), nullptr, error);
  });
  key.text().resize(SMARTVPN_KEY_SIZE - 1);
  return key;
}

std::string public_key_of(const SecretText& private_key) {
  std::array<char, SMARTVPN_KEY_SIZE> text{};
  call([&](smartvpn_error** error) {
    return smartvpn_key_public(private_key.text().c_str(), text.data(), text.size(), nullptr, error);
  });
  return text.data();
}

}  // namespace

int run_keygen(const KeygenOptions& options) {
  SecretText private_key = new_private_key();
  std::string public_key = public_key_of(private_key);
  if (options.json) {
    nlohmann::ordered_json json;
    json["private_key"] = private_key.text();
    json["public_key"] = public_key;
    SecretText line(json.dump());
    std::printf("%s\n", line.text().c_str());
  } else {
    std::printf("private key: %s\npublic key:  %s\n", private_key.text().c_str(), public_key.c_str());
  }
  return kExitOk;
}

int run_pubkey() {
  // One line; a key is 44 characters, so what does not fit is none.
  SecretText line(std::string(128, '\0'));
  if (!std::fgets(line.text().data(), static_cast<int>(line.text().size()), stdin))
    throw Failure{kExitUsage, "", "no private key on standard input"};
  line.text().resize(line.text().find_first_of(std::string_view("\r\n\0", 3)));
  std::printf("%s\n", public_key_of(line).c_str());
  return kExitOk;
}

}  // namespace smartvpn::cli
