// Certificates made on the spot, so that no test depends on files that expire.
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace smartvpn::testing {

struct Identity {
  std::string certificate;  // PEM
  std::string key;          // PEM
  std::string sha256_hex;   // of the certificate's DER
  std::string spki_hex;     // of its public key's DER
};

namespace certificates {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* p) const { Free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO, BIO_free_all>>;

inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

inline std::string digest_hex(unsigned char* der, int size) {
  uint8_t digest[32];
  EVP_Digest(der, static_cast<size_t>(size), digest, nullptr, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  return to_hex(digest);
}

inline void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

inline Cert blank(EVP_PKEY* key, const std::string& name) {
  static long serial = 1;
  Cert certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -86400);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

inline Identity pack(X509* certificate, EVP_PKEY* key) {
  Identity out;
  Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  out.certificate = text_of(bio.get());
  bio.reset(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  out.key = text_of(bio.get());
  unsigned char* der = nullptr;
  int size = i2d_X509(certificate, &der);
  out.sha256_hex = digest_hex(der, size);
  der = nullptr;
  size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  out.spki_hex = digest_hex(der, size);
  return out;
}

}  // namespace certificates

// A certificate authority of its own, P-256, valid for a day around now.
inline Identity make_ca(const std::string& name) {
  certificates::Key key(EVP_EC_gen("P-256"));
  certificates::Cert certificate = certificates::blank(key.get(), name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  certificates::extend(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  certificates::extend(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  certificates::extend(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  return certificates::pack(certificate.get(), key.get());
}

// A server certificate for DNS names and IP addresses, signed by `ca`.
inline Identity make_server(const Identity& ca, const std::vector<std::string>& dns,
                            const std::vector<std::string>& ips = {}) {
  certificates::Bio bio(BIO_new_mem_buf(ca.certificate.data(), -1));
  certificates::Cert issuer(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  bio.reset(BIO_new_mem_buf(ca.key.data(), -1));
  certificates::Key issuer_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  certificates::Key key(EVP_EC_gen("P-256"));
  certificates::Cert certificate = certificates::blank(key.get(), dns.empty() ? "server" : dns.front());
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  std::string names;
  for (const auto& name : dns) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  for (const auto& ip : ips) names += (names.empty() ? "IP:" : ",IP:") + ip;
  if (!names.empty()) certificates::extend(certificate.get(), issuer.get(), NID_subject_alt_name, names);
  X509_sign(certificate.get(), issuer_key.get(), EVP_sha256());
  return certificates::pack(certificate.get(), key.get());
}

}  // namespace smartvpn::testing
