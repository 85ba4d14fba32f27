// llhttp does the grammar; this file bounds what is kept, stops right behind the empty line, and
// refuses the liberties llhttp takes: lines that end in a bare LF, folded header lines, names that
// are no tokens. They are the classic ways for two HTTP readers to see two different messages.
#include "transport/ws/http_head.hpp"

#include <new>

#include "base/features.hpp"

#if SMARTVPN_WITH_WEBSOCKET
#include <llhttp.h>

namespace smartvpn::ws {

// llhttp's callbacks; `data` is the HttpHead for the time of one llhttp_execute().
struct HttpHeadCallbacks {
  static HttpHead& self(llhttp_t* parser) { return *static_cast<HttpHead*>(parser->data); }
  static int target(llhttp_t* parser, const char* at, size_t size) {
    HttpHead& head = self(parser);
    if (!head.keep(at, size)) return HPE_USER;
    head.target_size_ = head.text_.size();
    return 0;
  }
  static int name(llhttp_t* parser, const char* at, size_t size) {
    return self(parser).add_name(at, size) ? 0 : HPE_USER;
  }
  static int value(llhttp_t* parser, const char* at, size_t size) {
    return self(parser).add_value(at, size) ? 0 : HPE_USER;
  }
  static int value_complete(llhttp_t* parser) { return self(parser).add_value(nullptr, 0) ? 0 : HPE_USER; }
  // 2: whatever follows is not HTTP's, so the parser stops exactly here.
  static int headers_complete(llhttp_t*) { return 2; }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t made = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_url = target;
      s.on_header_field = name;
      s.on_header_value = value;
      s.on_header_value_complete = value_complete;
      s.on_headers_complete = headers_complete;
      return s;
    }();
    return &made;
  }
};

HttpHead::HttpHead(Kind kind, const HttpHeadLimits& limits)
    : parser_(std::make_unique<llhttp__internal_s>()), limits_(limits) {
  limits_.max_bytes = std::min<size_t>(limits_.max_bytes, UINT16_MAX);
  llhttp_init(parser_.get(), kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, HttpHeadCallbacks::settings());
}

HttpHead::Outcome HttpHead::feed(ByteView in, size_t& consumed) {
  consumed = 0;
  if (outcome_ != Outcome::need_more) return outcome_;
  const ByteView allowed = in.first(std::min(in.size(), limits_.max_bytes - seen_));
  const size_t strict = strict_prefix(allowed);
  const char* begin = reinterpret_cast<const char*>(allowed.data());

  parser_->data = this;
  const llhttp_errno_t error = strict == 0 ? HPE_OK : llhttp_execute(parser_.get(), begin, strict);
  parser_->data = nullptr;
  if (error == HPE_PAUSED_UPGRADE) {
    consumed = static_cast<size_t>(llhttp_get_error_pos(parser_.get()) - begin);
    seen_ += consumed;
    return outcome_ = !is_http1() ? Outcome::malformed : too_many_ ? Outcome::too_large : Outcome::done;
  }
  consumed = strict;
  seen_ += strict;
  if (error == HPE_USER) return outcome_ = Outcome::too_large;  // no memory for it
  if (error != HPE_OK || strict < allowed.size()) return outcome_ = Outcome::malformed;
  if (seen_ == limits_.max_bytes) return outcome_ = Outcome::too_large;
  return outcome_;
}

std::string_view HttpHead::method() const noexcept {
  return llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(parser_.get())));
}
uint16_t HttpHead::status() const noexcept { return parser_->status_code; }

// The last two liberties: HTTP/0.9 and field names that are no tokens.
bool HttpHead::is_http1() const noexcept {
  return parser_->http_major == 1 &&
         std::all_of(fields_.begin(), fields_.end(), [this](const Field& f) { return is_token(name_of(f)); });
}
bool HttpHead::is_http11() const noexcept { return parser_->http_major == 1 && parser_->http_minor == 1; }

#else  // without the transport nothing calls these; the class stays whole so that the room links

struct llhttp__internal_s {};

namespace smartvpn::ws {

HttpHead::HttpHead(Kind, const HttpHeadLimits& limits) : limits_(limits), outcome_(Outcome::malformed) {}
HttpHead::Outcome HttpHead::feed(ByteView, size_t& consumed) {
  consumed = 0;
  return outcome_;
}
std::string_view HttpHead::method() const noexcept { return {}; }
uint16_t HttpHead::status() const noexcept { return 0; }
bool HttpHead::is_http11() const noexcept { return false; }

#endif

HttpHead::~HttpHead() = default;
HttpHead::HttpHead(HttpHead&&) noexcept = default;
HttpHead& HttpHead::operator=(HttpHead&&) noexcept = default;

// How many bytes may go to llhttp: all, or up to a line break it would let pass. Nothing behind the
// empty line is looked at.
size_t HttpHead::strict_prefix(ByteView in) noexcept {
  for (size_t i = 0; i < in.size(); ++i) {
    const uint8_t byte = in[i];
    if ((byte == '\n') != (last_ == '\r')) return i;
    if (ending_) return in.size();
    if (line_start_ && (byte == ' ' || byte == '\t')) return i;
    if (line_start_ && byte == '\r') {
      if (seen_ + i == 0) return i;  // no empty line before the first
      ending_ = true;
    }
    line_start_ = byte == '\n';
    last_ = byte;
  }
  return in.size();
}

bool HttpHead::keep(const char* at, size_t size) {
  try {
    text_.append(at, size);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

bool HttpHead::add_name(const char* at, size_t size) {
  if (fields_.empty() || in_value_) {
    // Judged at the head's end, so that the outcome does not hang on where the stream was cut.
    if (fields_.size() >= limits_.max_fields) too_many_ = true;
    if (too_many_) return true;
    const auto here = static_cast<uint16_t>(text_.size());
    try {
      fields_.push_back(Field{here, 0, here, 0});
    } catch (const std::bad_alloc&) {
      return false;
    }
    in_value_ = false;
  }
  Field& field = fields_.back();
  field.name_size = static_cast<uint16_t>(field.name_size + size);
  field.value_at = static_cast<uint16_t>(field.name_at + field.name_size);
  return keep(at, size);
}

bool HttpHead::add_value(const char* at, size_t size) {
  in_value_ = true;
  if (too_many_) return true;
  fields_.back().value_size = static_cast<uint16_t>(fields_.back().value_size + size);
  return size == 0 || keep(at, size);
}

std::string_view HttpHead::target() const noexcept { return std::string_view(text_).substr(0, target_size_); }

std::string_view HttpHead::name_of(const Field& field) const noexcept {
  return std::string_view(text_).substr(field.name_at, field.name_size);
}

std::string_view HttpHead::value_of(const Field& field) const noexcept {
  std::string_view text = std::string_view(text_).substr(field.value_at, field.value_size);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

size_t HttpHead::count(std::string_view name) const noexcept {
  return static_cast<size_t>(
      std::count_if(fields_.begin(), fields_.end(), [&](const Field& f) { return equal_any_case(name_of(f), name); }));
}

std::string_view HttpHead::value(std::string_view name) const noexcept {
  for (const Field& field : fields_)
    if (equal_any_case(name_of(field), name)) return value_of(field);
  return {};
}

std::vector<std::string_view> HttpHead::values(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const Field& field : fields_)
    if (equal_any_case(name_of(field), name)) out.push_back(value_of(field));
  return out;
}

bool HttpHead::has_token(std::string_view name, std::string_view token) const {
  for (std::string_view list : values(name))
    for (std::string_view element : split_list(list))
      if (equal_any_case(element, token)) return true;
  return false;
}

}  // namespace smartvpn::ws
