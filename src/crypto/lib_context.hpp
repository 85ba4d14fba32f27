// OpenSSL, kept to ourselves: one private library context for the process, so that neither a
// configuration file nor a provider the host loads changes what we compute, and the other way round.
#pragma once

#include <openssl/types.h>

namespace smartvpn::crypto {

// Made on first use, with the default provider loaded explicitly and no configuration file read;
// never freed, because shards may still run while the process exits. Null only if memory was out or
// libcrypto has no default provider. Any thread.
OSSL_LIB_CTX* private_lib_context() noexcept;

}  // namespace smartvpn::crypto
