// llhttp does the grammar, HttpLineCheck what llhttp is lenient about; this file keeps of the head what the host can
// be read from, and nothing else.
#include "relay/http_host.hpp"

#include <llhttp.h>

#include "relay/host_name.hpp"
#include "relay/http_head_text.hpp"
#include "relay/http_line_check.hpp"

namespace smartvpn::relay {
namespace {

std::string_view without_http_blanks(std::string_view text) noexcept {
  const size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

}  // namespace

struct HttpHostMachine::Reading {
  llhttp_t parser{};
  HttpLineCheck lines;
  HttpKeptText target;
  HttpKeptText host_value;  // of the first Host
  HttpFieldName name;
  uint32_t host_fields = 0;
  bool is_preface = false;  // of HTTP/2

  // llhttp's callbacks. `data` is the Reading for the time of one llhttp_execute(); they are C's and do not throw.
  static Reading& self(llhttp_t* parser) noexcept { return *static_cast<Reading*>(parser->data); }
  static int on_method_complete(llhttp_t* parser) noexcept {
    self(parser).is_preface = llhttp_get_method(parser) == HTTP_PRI;
    return self(parser).is_preface ? HPE_USER : HPE_OK;
  }
  // llhttp has tabs and form feeds in a target, at which some servers end it.
  static int on_url(llhttp_t* parser, const char* at, size_t size) noexcept {
    const std::string_view piece(at, size);
    if (std::any_of(piece.begin(), piece.end(), [](char c) { return uint8_t(c) <= ' ' || c == 0x7f; })) return HPE_USER;
    self(parser).target.add(piece);
    return HPE_OK;
  }
  static int on_name(llhttp_t* parser, const char* at, size_t size) noexcept {
    return self(parser).name.add({at, size}) ? HPE_OK : HPE_USER;
  }
  static int on_name_complete(llhttp_t* parser) noexcept {
    if (self(parser).name.is_host()) ++self(parser).host_fields;
    return self(parser).name.empty() ? HPE_USER : HPE_OK;  // llhttp takes a line that begins with its colon
  }
  static int on_value(llhttp_t* parser, const char* at, size_t size) noexcept {
    Reading& reading = self(parser);
    if (reading.name.is_host() && reading.host_fields == 1) reading.host_value.add({at, size});
    return HPE_OK;
  }
  static int on_value_complete(llhttp_t* parser) noexcept {
    self(parser).name = HttpFieldName();
    return HPE_OK;
  }
  // 2: whatever follows is not HTTP's, so the parser stops exactly here.
  static int on_headers_complete(llhttp_t*) noexcept { return 2; }

  static const llhttp_settings_t* settings() noexcept {
    static const llhttp_settings_t made = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_method_complete = on_method_complete;
      s.on_url = on_url;
      s.on_header_field = on_name;
      s.on_header_field_complete = on_name_complete;
      s.on_header_value = on_value;
      s.on_header_value_complete = on_value_complete;
      s.on_headers_complete = on_headers_complete;
      return s;
    }();
    return &made;
  }

  Reading() noexcept { llhttp_init(&parser, HTTP_REQUEST, settings()); }

  // The authority in the request target; nothing where it has none (origin-form, asterisk-form). `wrong` is set
  // where it is of no form (RFC 9112 section 3.2).
  std::optional<Authority> target_authority(bool& wrong) const;
};

std::optional<Authority> HttpHostMachine::Reading::target_authority(bool& wrong) const {
  std::string_view text = target.view();
  const bool is_connect = parser.method == HTTP_CONNECT;
  bool whole = target.is_whole();
  if (!is_connect) {
    if (text.starts_with('/') || (text == "*" && whole)) return std::nullopt;
    const size_t scheme = text.find("://");
    text.remove_prefix(scheme == std::string_view::npos ? text.size() : scheme + 3);
    const size_t end = text.find_first_of("/?");
    if (end != std::string_view::npos) whole = true;
    text = text.substr(0, end);
  }
  auto authority = whole ? parse_authority(text) : std::nullopt;
  wrong = !authority || (is_connect && !authority->port);
  return authority;
}

HttpHostMachine::HttpHostMachine() : reading_(std::make_unique<Reading>()) {}
HttpHostMachine::~HttpHostMachine() = default;
HttpHostMachine::HttpHostMachine(HttpHostMachine&&) noexcept = default;
HttpHostMachine& HttpHostMachine::operator=(HttpHostMachine&&) noexcept = default;

HttpHostMachine::State HttpHostMachine::feed(ByteView bytes) {
  if (state_ != State::need_more) return state_;
  bytes = bytes.first(std::min(bytes.size(), kMaxSize - seen_));
  seen_ += bytes.size();
  state_ = execute(bytes);
  if (state_ == State::need_more && seen_ == kMaxSize) state_ = State::too_large;
  if (state_ != State::need_more) reading_.reset();  // the connection outlives its first request by hours
  return state_;
}

HttpHostMachine::State HttpHostMachine::execute(ByteView bytes) {
  Reading& reading = *reading_;
  const size_t good = reading.lines.take(bytes);
  const char* begin = reinterpret_cast<const char*>(bytes.data());
  reading.parser.data = &reading;
  const llhttp_errno_t error = good == 0 ? HPE_OK : llhttp_execute(&reading.parser, begin, good);
  switch (error) {
    case HPE_OK:
      break;
    case HPE_PAUSED_UPGRADE:
      return finish();
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT:  // in place of "HTTP/"
    case HPE_INVALID_VERSION:
      return State::not_http;
    default:
      return reading.is_preface ? State::not_http : State::malformed;
  }
  if (reading.lines.verdict() == HttpLineCheck::Verdict::not_http) return State::not_http;
  const bool agree = reading.lines.verdict() == HttpLineCheck::Verdict::good && !reading.lines.ended();
  return agree ? State::need_more : State::malformed;
}

HttpHostMachine::State HttpHostMachine::finish() {
  const Reading& reading = *reading_;
  bool wrong_target = false;
  auto target = reading.target_authority(wrong_target);
  if (wrong_target || reading.host_fields > 1) return State::malformed;
  const bool may_lack_host = reading.parser.http_minor == 0 && target;
  if (reading.host_fields == 0 && !may_lack_host) return State::malformed;
  if (reading.host_fields == 1) {
    const auto& value = reading.host_value;
    auto authority = value.is_whole() ? parse_authority(without_http_blanks(value.view())) : std::nullopt;
    if (!authority) return State::malformed;
    if (!target) target = std::move(authority);
  }
  host_ = std::move(target->host);
  return State::done;
}

}  // namespace smartvpn::relay
