// Arguments of the C ABI as the core wants them: texts, JSON, text buffers and sized structs, with
// the rules that smartvpn.h states once in its section 1.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "smartvpn.h"

namespace smartvpn::capi {

// INVALID, naming the argument.
Error null_argument(const char* name);

// A required text.
Result<std::string_view> text_argument(const char* text, const char* name);
// `(json, json_len)`, where the length may be SMARTVPN_NUL_TERMINATED.
Result<std::string_view> json_argument(const char* json, size_t json_len);

// `(buf, cap, needed)`: everything or nothing.
Result<void> put_text(std::string_view text, char* buf, size_t cap, size_t* needed);

// The size that a struct had in the first release; smaller ones are no version of it.
template <class T>
constexpr size_t kFirstSize = 0;
template <>
inline constexpr size_t kFirstSize<smartvpn_callbacks> = offsetof(smartvpn_callbacks, event) +
                                                         sizeof(smartvpn_callbacks::event);
template <>
inline constexpr size_t kFirstSize<smartvpn_session_info> = offsetof(smartvpn_session_info, reserved) +
                                                            sizeof(smartvpn_session_info::reserved);
template <>
inline constexpr size_t kFirstSize<smartvpn_packet> = offsetof(smartvpn_packet, flags) + sizeof(smartvpn_packet::flags);

bool all_zero(const void* bytes, size_t size) noexcept;
Error struct_too_small(const char* name);
Error struct_too_new(const char* name);

// Copies what both sides know of the caller's struct of `size` bytes.
template <class T>
Result<T> read_struct(const void* from, size_t size, const char* name) {
  if (!from) return null_argument(name);
  if (size < kFirstSize<T>) return struct_too_small(name);
  if (size > sizeof(T) && !all_zero(static_cast<const char*>(from) + sizeof(T), size - sizeof(T)))
    return struct_too_new(name);
  T out{};
  std::memcpy(&out, from, size < sizeof(T) ? size : sizeof(T));
  return out;
}

// Fills what both sides know of the caller's struct of `size` bytes and zeroes the rest; its
// struct_size stays as it is. `size` was checked.
template <class T>
void write_struct(const T& from, void* to, size_t size) noexcept {
  const size_t skip = sizeof from.struct_size, known = size < sizeof(T) ? size : sizeof(T);
  std::memcpy(static_cast<char*>(to) + skip, reinterpret_cast<const char*>(&from) + skip, known - skip);
  std::memset(static_cast<char*>(to) + known, 0, size - known);
}

}  // namespace smartvpn::capi
