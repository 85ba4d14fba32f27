// Arguments of the C ABI: the checks that do not depend on a type.
#include "capi/arguments.hpp"

namespace smartvpn::capi {

Error null_argument(const char* name) { return make_error(Status::INVALID, std::string(name) + " must not be NULL"); }

Result<std::string_view> text_argument(const char* text, const char* name) {
  if (!text) return null_argument(name);
  return std::string_view(text);
}

Result<std::string_view> json_argument(const char* json, size_t json_len) {
  if (!json) return null_argument("json");
  return json_len == SMARTVPN_NUL_TERMINATED ? std::string_view(json) : std::string_view(json, json_len);
}

Result<void> put_text(std::string_view text, char* buf, size_t cap, size_t* needed) {
  if (needed) *needed = text.size() + 1;
  if (!buf && cap != 0) return null_argument("buf");
  if (cap < text.size() + 1) return make_error(Status::BUFFER_TOO_SMALL, status_text(SMARTVPN_BUFFER_TOO_SMALL));
  std::memcpy(buf, text.data(), text.size());
  buf[text.size()] = '\0';
  return {};
}

bool all_zero(const void* bytes, size_t size) noexcept {
  const auto* p = static_cast<const unsigned char*>(bytes);
  unsigned char sum = 0;
  for (size_t i = 0; i < size; ++i) sum |= p[i];
  return sum == 0;
}

Error struct_too_small(const char* name) {
  return make_error(Status::INVALID, std::string("the struct_size of ") + name + " is too small");
}

Error struct_too_new(const char* name) {
  return make_error(Status::UNSUPPORTED, std::string(name) + " sets a member that this version does not know");
}

}  // namespace smartvpn::capi
