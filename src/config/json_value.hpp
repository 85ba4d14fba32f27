// A JSON value: the tree that configurations are read into and written from. It exists because trees of the JSON
// library take memory when they are destroyed, and end the process when there is none; destroying, moving and
// looking into one of these takes none. Inside config/ only.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace smartvpn::config {

class Json {
 public:
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // in the order in which members came

  Json() noexcept;  // null
  // NOLINTBEGIN(google-explicit-constructor): a value of JSON is written where one is wanted.
  Json(std::same_as<bool> auto value) noexcept : Json(Exactly{}, bool{value}) {}
  Json(std::signed_integral auto value) noexcept : Json(Exactly{}, int64_t{value}) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) Json(T value)
  noexcept : Json(Exactly{}, uint64_t{value}) {}
  explicit Json(double value) noexcept;
  Json(std::string text) noexcept;
  Json(const char* text);
  Json(const std::vector<std::string>& texts);
  // NOLINTEND(google-explicit-constructor)
  static Json array();
  static Json object();
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(Json other) noexcept;
  ~Json();

  bool is_null() const noexcept;
  bool is_boolean() const noexcept;
  bool is_number() const noexcept;
  bool is_integer() const noexcept;
  bool is_string() const noexcept;
  bool is_array() const noexcept;
  bool is_object() const noexcept;

  // Of values of their kind only.
  bool boolean() const noexcept;
  int64_t integer() const noexcept;     // INT64_MAX for what is beyond
  bool exceeds_int64() const noexcept;  // an integer greater than INT64_MAX
  std::string& text() noexcept;
  const std::string& text() const noexcept;

  // Of a list or an object; 0 for everything else.
  size_t size() const noexcept;
  // The elements of a list; none for anything else.
  const Json* begin() const noexcept;
  const Json* end() const noexcept;
  Json* begin() noexcept { return const_cast<Json*>(std::as_const(*this).begin()); }
  Json* end() noexcept { return const_cast<Json*>(std::as_const(*this).end()); }
  Json& operator[](size_t index) noexcept;  // of a list, below size()
  const Json& operator[](size_t index) const noexcept;
  Json& push_back(Json value);  // to a list
  // The members of an object; none for anything else.
  const Object& members() const noexcept;
  // Null when absent, or when this is no object.
  const Json* find(std::string_view name) const noexcept;
  Json* find(std::string_view name) noexcept { return const_cast<Json*>(std::as_const(*this).find(name)); }
  bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }
  Json& operator[](std::string_view name);     // of an object: made (null) if absent
  Json& append(std::string name, Json value);  // to an object that has no such member
  Json& operator[](const char* name) { return (*this)[std::string_view(name)]; }
  void erase(size_t index) noexcept;
  void erase(std::string_view name) noexcept;

  // RFC 7396. What is not an object becomes one when the patch is.
  void merge_patch(const Json& patch);
  // Two spaces a level.
  std::string dump() const;

  // The order of members does not matter, and neither does how an integer is kept.
  friend bool operator==(const Json& a, const Json& b);

 private:
  // Of one type, without a conversion; not here, where Member is incomplete.
  struct Exactly {};
  Json(Exactly, bool value) noexcept;
  Json(Exactly, int64_t value) noexcept;
  Json(Exactly, uint64_t value) noexcept;
  using Value = std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object>;
  void dump(std::string& out, size_t indent) const;
  Value value_;
};

struct Json::Member {
  std::string name;
  Json value;
  friend bool operator==(const Member&, const Member&) = default;
};

}  // namespace smartvpn::config
