// See metrics_server.hpp.
#include "metrics/metrics_server.hpp"

#include <new>

#include "c_api.hpp"
#include "metrics/http_request.hpp"

namespace smartvpn::cli {
namespace {

constexpr std::string_view kPath = "/metrics";
constexpr std::string_view kPlain = "text/plain; charset=utf-8";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
constexpr PeerLimits kScrapeLimits{.peers = 16,
                                   .input_bytes = kMaxHttpHead,
                                   .request = std::chrono::seconds(5),
                                   .answer = std::chrono::seconds(10),
                                   .idle_allowed = false,
                                   .evict_oldest = true};  // who dawdles makes room for who asks

struct Answer {
  std::string_view status;
  std::string_view type;
  std::string body;
  std::string_view field;  // one more line of the head, with its end
};

Answer plain(std::string_view status, std::string_view field = {}) {
  return {status, kPlain, std::string(status.substr(4)) + "\n", field};
}

std::string print(const Answer& answer, bool head_only) {
  std::string out = "HTTP/1.1 " + std::string(answer.status) + "\r\n";
  out.append("Content-Type: ").append(answer.type).append("\r\nContent-Length: ");
  out.append(std::to_string(answer.body.size())).append("\r\n").append(answer.field);
  out.append("Connection: close\r\n\r\n");
  if (!head_only) out += answer.body;
  return out;
}

}  // namespace

MetricsServer::MetricsServer(UniqueFd listening, Snapshot snapshot)
    : PeerServer(std::move(listening), kScrapeLimits), snapshot_(std::move(snapshot)) {}

bool MetricsServer::take_request(Peer& peer, bool, bool) {
  HttpRequest request = read_http_request(peer.input());
  if (request.state == HttpRequest::State::incomplete) return false;
  bool head_only = request.state == HttpRequest::State::complete && request.method == "HEAD";
  Answer answer;
  if (request.state == HttpRequest::State::too_long) {
    answer = plain("431 Request Header Fields Too Large");
  } else if (request.state == HttpRequest::State::bad) {
    answer = plain("400 Bad Request");
  } else if (request.path != kPath) {
    answer = plain("404 Not Found");
  } else if (request.method != "GET" && !head_only) {
    answer = plain("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
  } else {
    std::string body = page();
    answer = body.empty() ? plain("503 Service Unavailable") : Answer{"200 OK", kPrometheus, std::move(body), {}};
  }
  peer.take(peer.input().size());
  peer.send(print(answer, head_only));
  peer.finish();
  return true;
}

// "" when who is asked has no statistics to give: it is stopping.
std::string MetricsServer::page() const {
  try {
    const Stats stats = snapshot_();
    return std::move(read_text([&](char* buf, size_t cap, size_t* needed, smartvpn_error** error) {
                       return smartvpn_stats_prometheus(stats.get(), buf, cap, needed, error);
                     }).text());
  } catch (const Failure&) {
    return {};
  } catch (const std::bad_alloc&) {
    return {};
  }
}

}  // namespace smartvpn::cli
