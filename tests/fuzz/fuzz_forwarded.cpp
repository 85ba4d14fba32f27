// The headers that name a client against any bytes: whoever is found is a possible address that can be printed
// and read again, what stands to the left of a client in X-Forwarded-For changes nothing, and a client's own
// lines in front of a proxy's never make it somebody else. Byte 0: which header; the rest: its lines, cut at LF.
#undef NDEBUG
#include <cassert>

#include "transport/ws/forwarded.hpp"

namespace {

using namespace smartvpn;
using namespace smartvpn::ws;
using Lines = std::vector<std::string_view>;

bool trusted(const inet::IpAddress& ip) { return inet::Cidr::parse("10.0.0.0/8")->contains(ip); }

void check(const Result<inet::Endpoint>& client) {
  if (!client) {
    assert(client.error().status == Status::INVALID && !client.error().text.empty());
    return;
  }
  assert(!client->ip.is_unspecified() && !client->ip.is_multicast());
  assert(inet::Endpoint::parse(client->text()) == *client);
}

bool is(const Result<inet::Endpoint>& client, const char* text) { return client && client->text() == text; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  Lines lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  Lines appended = lines;
  switch (data[0] % 3) {
    case 0:
      check(client_of_x_forwarded_for(lines, trusted));
      appended.push_back("198.51.100.7, 10.0.0.1");
      assert(is(client_of_x_forwarded_for(appended, trusted), "198.51.100.7:0"));
      break;
    case 1: {
      check(client_of_forwarded(lines, trusted));
      appended.push_back("for=198.51.100.7, for=10.0.0.1");
      auto client = client_of_forwarded(appended, trusted);
      assert(!client || is(client, "198.51.100.7:0"));
      break;
    }
    default:
      check(client_of_single(lines));
      assert(lines.size() == 1 || !client_of_single(lines));
  }
  return 0;
}
