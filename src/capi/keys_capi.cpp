// Keys as text (smartvpn.h, section 13).
#include "base/secret.hpp"
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "crypto/x25519.hpp"

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_key_generate(char* buf, size_t cap, size_t* needed, smartvpn_error** err) {
  return barrier(err, [&]() -> Result<void> {
    crypto::KeyPair pair = crypto::generate_key_pair(system_rng());
    std::string text = format_key(pair.secret.view());
    Result<void> result = put_text(text, buf, cap, needed);
    wipe(text);
    return result;
  });
}

smartvpn_status smartvpn_key_public(const char* private_key, char* buf, size_t cap, size_t* needed,
                                    smartvpn_error** err) {
  return barrier(err, [&]() -> Result<void> {
    auto text = text_argument(private_key, "private_key");
    if (!text) return std::move(text).error();
    std::optional<SecretKey> secret = parse_secret_key(*text);
    if (!secret) return make_error(Status::INVALID, "private_key is not the base64 of 32 bytes");
    return put_text(format_key(crypto::public_key_of(*secret)), buf, cap, needed);
  });
}
