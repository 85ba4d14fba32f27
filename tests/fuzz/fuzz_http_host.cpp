// A stranger's first bytes where a request is expected: state and host do not depend on how they were cut, nothing
// is known before the head's end, and a host that is told is one that patterns can be held against, and what somebody
// finds who does no more than split lines at CRLF.
// Input: the stream.
#include "fuzz/require.hpp"
#include "inet/address.hpp"
#include "relay/host_name.hpp"
#include "relay/http_host.hpp"

using namespace smartvpn;
using relay::HttpHostMachine;
using State = relay::HttpHostMachine::State;

namespace {

using smartvpn::fuzz::require;

struct Outcome {
  State state = State::need_more;
  std::string host;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// `pieces`: 0 for one, else seeds their sizes. A final state comes again whatever follows.
Outcome run(ByteView stream, uint32_t pieces) {
  HttpHostMachine machine;
  State state = machine.feed({});
  require(state == State::need_more);
  for (size_t at = 0; at < stream.size();) {
    size_t size = stream.size() - at;
    if (pieces != 0) {
      pieces = pieces * 1664525 + 1013904223;
      size = std::min<size_t>(size, pieces >> 27);  // 0 to 31 bytes
    }
    const State next = machine.feed(stream.subspan(at, size));
    require(state == State::need_more || next == state);
    require(next == machine.state());
    state = next;
    at += size;
  }
  return {state, machine.host()};
}

// How many bytes it takes until the state is final; all of them if it is not.
size_t decided_after(ByteView stream) {
  HttpHostMachine machine;
  size_t size = 0;
  while (size < stream.size() && machine.state() == State::need_more) machine.feed(stream.subspan(size++, 1));
  return size;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// The values of Host in a complete head, and its request line as `first`.
std::vector<std::string_view> split_hosts(std::string_view head, std::string_view& first) {
  std::vector<std::string_view> hosts;
  first = head.substr(0, head.find("\r\n"));
  head.remove_prefix(first.size() + 2);
  while (head != "\r\n") {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    require(line.find('\r') == std::string_view::npos && line.find('\n') == std::string_view::npos);
    const size_t colon = line.find(':');
    require(colon != 0 && colon != std::string_view::npos);
    if (lower(line.substr(0, colon)) == "host") hosts.push_back(line.substr(colon + 1));
    head.remove_prefix(line.size() + 2);
  }
  return hosts;
}

void check_told(std::string_view head, const std::string& host) {
  const bool is_address = inet::IpAddress::parse(host).has_value();
  require(is_address || relay::normalise_host(host) == host);
  require(head.find("\r\n\r\n") == head.size() - 4);
  std::string_view first;
  const auto hosts = split_hosts(head, first);
  const std::string_view target = first.substr(first.find(' ') + 1, first.rfind(' ') - first.find(' ') - 1);
  require(first.ends_with(" HTTP/1.0") || first.ends_with(" HTTP/1.1"));
  require(target.find(' ') == std::string_view::npos && hosts.size() <= 1);
  require(hosts.size() == 1 || first.ends_with('0'));
  const std::string_view source = target.starts_with('/') || target == "*" ? hosts.at(0) : target;
  require(is_address || lower(source).find(host) != std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView stream(data, size);
  const Outcome whole = run(stream, 0);
  require(whole == run(stream, static_cast<uint32_t>(size) * 2 + 1));
  require((whole.state == State::done) == !whole.host.empty());

  const size_t decided = decided_after(stream);
  require(decided <= HttpHostMachine::kMaxSize);
  require(run(stream.first(decided), 0) == whole);
  if (whole.state == State::done) {
    check_told(as_text(stream.first(decided)), whole.host);
    require(run(stream.first(decided - 1), 0).state == State::need_more);
  }
  return 0;
}
