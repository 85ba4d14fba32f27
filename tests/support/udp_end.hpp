// A UDP socket with a recorder behind it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "net/udp_socket.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::testing {

struct UdpEnd : net::UdpHandler {
  struct Got {
    std::string text;  // one datagram, also where several came as one message
    inet::Endpoint from;
    inet::IpAddress to;
    uint32_t interface = 0;
    uint8_t ecn = 0;
  };

  std::unique_ptr<net::UdpSocket> socket;
  std::vector<Got> got;
  int writable = 0;
  std::function<void(std::span<net::Datagram>)> on_batch;
  std::function<void()> on_writable;

  void open(net::Loop& loop, net::UdpOptions options) {
    auto made = net::UdpSocket::open(loop, options, *this);
    ASSERT_TRUE(made.ok()) << made.error().text;
    socket = std::move(*made);
  }
  void open(net::Loop& loop, const char* ip) {
    net::UdpOptions options;
    options.address = {*inet::IpAddress::parse(ip), 0};
    open(loop, options);
  }
  // Where this socket is reached by that address.
  inet::Endpoint at(const char* ip) const { return {*inet::IpAddress::parse(ip), socket->local().port}; }
  const net::UdpSocket::Counters& counters() const { return socket->counters(); }

  void on_datagrams(std::span<net::Datagram> batch) override {
    if (on_batch) return on_batch(batch);
    for (const net::Datagram& d : batch) {
      const size_t step = d.segment_size ? d.segment_size : std::max<size_t>(d.bytes.size(), 1);
      for (size_t at = 0; at == 0 || at < d.bytes.size(); at += step) {
        ByteView one = ByteView(d.bytes).subspan(at, std::min(step, d.bytes.size() - at));
        got.push_back({std::string(as_text(one)), d.from, d.to, d.interface, d.ecn});
      }
    }
  }
  void on_udp_writable() override {
    ++writable;
    if (on_writable) on_writable();
  }
  void on_udp_error(const Error& error) override { ADD_FAILURE() << error.text; }
};

// A message that holds its own text, in as many pieces as it has datagrams.
struct UdpText {
  std::string text;
  std::vector<ByteView> pieces;
  net::OutDatagram message;

  UdpText(std::string bytes, const inet::Endpoint& to, uint16_t segment_size = 0) : text(std::move(bytes)) {
    const size_t step = segment_size ? segment_size : std::max<size_t>(text.size(), 1);
    for (size_t at = 0; at < text.size(); at += step)
      pieces.push_back(as_bytes(text).subspan(at, std::min(step, text.size() - at)));
    message.pieces = pieces;
    message.segment_size = segment_size;
    message.to = to;
  }
  UdpText(const UdpText&) = delete;
  UdpText& operator=(const UdpText&) = delete;
  size_t send_by(net::UdpSocket& socket) { return socket.send({&message, 1}); }
};

// Repeats `ask` until something arrives: an IPv6 address that has just been set is not there for packets at once.
inline bool reach(net::Loop& loop, UdpText& ask, net::UdpSocket& from, const UdpEnd& to) {
  for (int tries = 0; tries < 200; ++tries) {
    ask.send_by(from);
    if (run_until(
            loop, [&] { return !to.got.empty(); }, milliseconds(100)))
      return true;
  }
  return false;
}

// Text of that many bytes in which no two stretches are equal.
inline std::string numbered_text(size_t size) {
  std::string out;
  for (size_t i = 0; out.size() < size; ++i) out += std::to_string(i) + ",";
  out.resize(size);
  return out;
}

// What a text becomes when it is cut every `step` bytes.
inline std::vector<std::string> cut_text(const std::string& text, size_t step) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size(); at += step) out.push_back(text.substr(at, step));
  return out;
}

inline std::vector<std::string> texts_of(const UdpEnd& end) {
  std::vector<std::string> out;
  for (const auto& got : end.got) out.push_back(got.text);
  return out;
}

}  // namespace smartvpn::testing
