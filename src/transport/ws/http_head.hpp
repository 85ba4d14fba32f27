// The head of one HTTP/1.1 message, read piece by piece through llhttp into bounded storage: request
// line or status line, and header fields. Never reads a byte past the empty line, keeps no body.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

struct llhttp__internal_s;

namespace smartvpn::ws {

struct HttpHeadLimits {
  size_t max_bytes = 4096;  // of the whole head with its empty line; at most 65535
  size_t max_fields = 64;
};

class HttpHead {
 public:
  enum class Kind : uint8_t { request, response };
  enum class Outcome : uint8_t {
    need_more,
    done,       // the empty line has been read; `consumed` stops right behind it
    malformed,  // not HTTP/1.x as RFC 9112 writes it: also bare LF and folded lines
    too_large,  // over HttpHeadLimits
  };

  HttpHead(Kind kind, const HttpHeadLimits& limits);
  ~HttpHead();
  HttpHead(HttpHead&&) noexcept;
  HttpHead& operator=(HttpHead&&) noexcept;

  // Sets `consumed` to the bytes taken of `in`. An outcome other than need_more is final.
  Outcome feed(ByteView in, size_t& consumed);

  // Meaningful after `done`. Views live as long as this object.
  std::string_view method() const noexcept;
  std::string_view target() const noexcept;  // request target as sent
  uint16_t status() const noexcept;
  bool is_http11() const noexcept;

  size_t count(std::string_view name) const noexcept;            // fields of that name, any case
  std::string_view value(std::string_view name) const noexcept;  // of the first; empty when absent
  std::vector<std::string_view> values(std::string_view name) const;
  // All fields of that name read as one comma-separated list: does it hold `token`, in any case?
  bool has_token(std::string_view name, std::string_view token) const;
  size_t field_count() const noexcept { return fields_.size(); }

 private:
  friend struct HttpHeadCallbacks;
  struct Field {
    uint16_t name_at, name_size, value_at, value_size;
  };
  std::string_view name_of(const Field& field) const noexcept;
  std::string_view value_of(const Field& field) const noexcept;
  size_t strict_prefix(ByteView in) noexcept;
  bool is_http1() const noexcept;
  bool keep(const char* at, size_t size);
  bool add_name(const char* at, size_t size);
  bool add_value(const char* at, size_t size);

  std::unique_ptr<llhttp__internal_s> parser_;
  HttpHeadLimits limits_;
  Outcome outcome_ = Outcome::need_more;
  size_t seen_ = 0;         // bytes of the head so far
  uint8_t last_ = 0;        // the byte before
  bool line_start_ = true;  // it ended a line
  bool ending_ = false;     // inside the empty line
  bool in_value_ = false;   // the last field has its name
  bool too_many_ = false;   // fields over the limit, not kept
  std::string text_;        // target, then names and values, one behind the other
  size_t target_size_ = 0;
  std::vector<Field> fields_;
};

// Splits an HTTP list at commas, trims, drops empty elements (RFC 9110 section 5.6.1).
std::vector<std::string_view> split_list(std::string_view list);
bool is_token(std::string_view text) noexcept;  // RFC 9110 section 5.6.2
bool equal_any_case(std::string_view a, std::string_view b) noexcept;

}  // namespace smartvpn::ws
