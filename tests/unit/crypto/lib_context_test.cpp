#include "crypto/lib_context.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <cstdlib>
#include <fstream>
#include <thread>

namespace smartvpn::crypto {
namespace {

TEST(PrivateLibContext, IsOneForAllThreadsAndNotTheHosts) {
  OSSL_LIB_CTX* here = private_lib_context();
  OSSL_LIB_CTX* there = nullptr;
  std::thread([&] { there = private_lib_context(); }).join();
  ASSERT_NE(here, nullptr);
  EXPECT_EQ(here, there);
  EXPECT_NE(here, OSSL_LIB_CTX_get0_global_default());
  EXPECT_EQ(OSSL_PROVIDER_available(here, "default"), 1);
  EXPECT_EQ(OSSL_PROVIDER_available(here, "legacy"), 0);
}

// In a process of its own, whose configuration file leaves the host's default context without ciphers.
[[noreturn]] void compare_contexts_under_a_hostile_configuration(const std::string& path) {
  std::ofstream(path) << "openssl_conf = init\n[init]\nproviders = list\n[list]\nnull = null_section\n"
                      << "[null_section]\nactivate = 1\n";
  setenv("OPENSSL_CONF", path.c_str(), 1);
  EVP_MD* ours = EVP_MD_fetch(private_lib_context(), "SHA256", nullptr);
  EVP_MD* hosts = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  const bool as_hoped = ours && !hosts;
  EVP_MD_free(ours);
  EVP_MD_free(hosts);
  _exit(as_hoped ? 0 : 1);
}

TEST(PrivateLibContext, ReadsNoConfigurationFile) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::string path = ::testing::TempDir() + "smartvpn-hostile-openssl.cnf";
  EXPECT_EXIT(compare_contexts_under_a_hostile_configuration(path), ::testing::ExitedWithCode(0), "");
  std::remove(path.c_str());
}

}  // namespace
}  // namespace smartvpn::crypto
