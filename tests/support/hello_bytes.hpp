// ClientHellos for tests: recorded ones, and others built by hand, byte for byte.
#pragma once

#include <initializer_list>
#include <string_view>

#include "relay/client_hello.hpp"

namespace smartvpn::relay::hello_testing {

inline Bytes operator+(Bytes left, ByteView right) {
  append(left, right);
  return left;
}

inline Bytes number(size_t value, size_t bytes) {
  Bytes out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[bytes - 1 - i] = static_cast<uint8_t>(value >> (8 * i));
  return out;
}

// A length of so many bytes, then that.
inline Bytes vector_of(size_t length_bytes, ByteView inside) { return number(inside.size(), length_bytes) + inside; }

inline Bytes extension(uint16_t type, ByteView data) { return number(type, 2) + vector_of(2, data); }

inline Bytes host_entry(std::string_view name) { return Bytes{0} + vector_of(2, as_bytes(name)); }
inline Bytes server_names(ByteView entries) { return extension(0, vector_of(2, entries)); }
inline Bytes server_name(std::string_view name) { return server_names(host_entry(name)); }

inline Bytes alpn(const std::vector<std::string>& names) {
  Bytes list;
  for (const std::string& name : names) append(list, vector_of(1, as_bytes(name)));
  return extension(16, vector_of(2, list));
}

inline Bytes supported_versions(std::initializer_list<uint16_t> versions) {
  Bytes list;
  for (uint16_t version : versions) append(list, number(version, 2));
  return extension(43, vector_of(1, list));
}

// Up to the extensions' length, which comes next.
inline Bytes fixed_part(uint16_t legacy_version = 0x0303) {
  return number(legacy_version, 2) + Bytes(32, 0xab) + vector_of(1, Bytes(32, 0xcd)) +
         from_hex("0004130113020100").value();
}
inline Bytes message(ByteView body) { return Bytes{1} + vector_of(3, body); }
inline Bytes hello_message(ByteView extensions, uint16_t legacy_version = 0x0303) {
  return message(fixed_part(legacy_version) + vector_of(2, extensions));
}

inline Bytes record(ByteView fragment, uint8_t type = 22) { return Bytes{type, 3, 1} + vector_of(2, fragment); }
inline Bytes records(ByteView message, size_t fragment = 16384) {
  Bytes out;
  for (size_t at = 0; at < message.size(); at += fragment)
    append(out, record(message.subspan(at, std::min(fragment, message.size() - at))));
  return out;
}
inline Bytes hello(ByteView extensions) { return records(hello_message(extensions)); }

struct Told {
  ClientHelloMachine::State state = ClientHelloMachine::State::need_more;
  ClientHello hello;
  size_t fed = 0;  // bytes given until the state was final
  friend bool operator==(const Told&, const Told&) = default;
};

inline Told read_hello(ByteView stream, size_t piece = SIZE_MAX) {
  ClientHelloMachine machine;
  size_t at = 0;
  while (at < stream.size() && machine.state() == ClientHelloMachine::State::need_more) {
    const size_t size = std::min(piece, stream.size() - at);
    machine.feed(stream.subspan(at, size));
    at += size;
  }
  return {machine.state(), machine.hello(), at};
}

// OpenSSL 3.0, TLS 1.2 alone: VPN.Example.com, h2 and http/1.1.
inline Bytes openssl_tls12() {
  return from_hex(
             "16030100c7010000c303038ed3ce20a9f09281c641af601e0dd11c20c6e6aa072b80bf8a0f50c7ba8f301800001ec02cc030"
             "c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100007c00000014001200000f56504e2e4578616d706c65"
             "2e636f6d000b000403000102000a000c000a001d0017001e00190018002300000010000e000c02683208687474702f312e31"
             "0016000000170000000d002a0028040305030603080708080809080a080b0804080508060401050106010303030103020402"
             "05020602")
      .value();
}

// OpenSSL 3.0, TLS 1.2 and 1.3: vpn.example.com, h2 and http/1.1. It ends in 204 bytes of padding.
inline Bytes openssl_tls13() {
  return from_hex(
             "1603010200010001fc03039e93f0a4a0d69117630c3c2375b930443b0fe5d590148b2d4e4a36d37c0dc95a20545c95398a64"
             "fe1f45e284811ce3ac27b6dce2a970bd5c8ed361fc84ce739c8c0024130213031301c02cc030c02bc02fcca9cca8c024c028"
             "c023c027009f009e006b006700ff0100018f00000014001200000f76706e2e6578616d706c652e636f6d000b000403000102"
             "000a00160014001d0017001e0019001801000101010201030104002300000010000e000c02683208687474702f312e310016"
             "000000170000000d002a0028040305030603080708080809080a080b08040805080604010501060103030301030204020502"
             "0602002b00050403040303002d00020101003300260024001d0020ea5043ca592f60fc84c7c809606f01ce0c5fd7ec7706e7"
             "7b4123d3b3b5d89419001500cc")
             .value() +
         Bytes(204);
}

// Of a browser's kind: GREASE among extensions, versions and protocols.
inline Bytes greased() {
  return hello(extension(0x1a1a, {}) + server_name("grease.example") + alpn({"\x5a\x5a", "h2", "http/1.1"}) +
               supported_versions({0x7a7a, kTls13, kTls12}) + extension(0xdada, Bytes{0}));
}

}  // namespace smartvpn::relay::hello_testing
