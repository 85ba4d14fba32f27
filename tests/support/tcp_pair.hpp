// A listener and a connected pair of streams on loopback, with recorders.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "net/tcp_connector.hpp"
#include "net/tcp_listener.hpp"
#include "net/tcp_stream.hpp"
#include "support/loop_runner.hpp"

namespace smartvpn::testing {

// Records what a stream says.
struct StreamRecorder : net::TcpStream::Handler {
  std::string bytes;
  int writable = 0;
  std::vector<int> ends;
  std::function<void()> on_bytes, on_end;
  void on_stream_bytes(ByteSpan b) override {
    bytes.append(reinterpret_cast<const char*>(b.data()), b.size());
    if (on_bytes) on_bytes();
  }
  void on_stream_writable() override { ++writable; }
  void on_stream_end(int error) override {
    ends.push_back(error);
    if (on_end) on_end();
  }
};

struct TcpPair : ::testing::Test {
  std::unique_ptr<net::Loop> loop = make_loop();
  std::unique_ptr<net::TcpListener> listener;
  std::deque<std::unique_ptr<net::TcpStream>> accepted;
  std::unique_ptr<net::TcpStream> dialled, answered;
  StreamRecorder near, far;

  void listen_on(const char* address) {
    net::ListenOptions options;
    options.address = address;
    auto made =
        net::TcpListener::listen(*loop, options, [this](auto stream) { accepted.push_back(std::move(stream)); });
    ASSERT_TRUE(made.ok()) << made.error().text;
    listener = std::move(*made);
    ASSERT_NE(listener->local().port, 0);
  }

  // A connected pair: `dialled` heard by near, `answered` by far.
  void connect_pair(const char* address = "127.0.0.1") {
    listen_on(address);
    bool done = false;
    net::ConnectOptions options;
    options.addresses = {listener->local()};
    net::TcpConnector connector(*loop, options, [&](auto result) {
      done = true;
      ASSERT_TRUE(result.ok()) << result.error().text;
      dialled = std::move(*result);
    });
    ASSERT_TRUE(run_until(*loop, [&] { return done && !accepted.empty(); }));
    answered = std::move(accepted.front());
    accepted.pop_front();
    dialled->start(near);
    answered->start(far);
  }
};

}  // namespace smartvpn::testing
