// Tables and trees of values for people who read a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace smartvpn::cli {

// Control characters become '?': texts of clients and strangers must not steer the terminal.
std::string printable(std::string text);

// "0 B", "12.3 kB", "4.56 GB".
std::string human_bytes(double bytes);
// "7 s", "3 min", "2 h 5 min", "4 d 1 h".
std::string human_duration(int64_t ms);
// "2030-01-01 00:00:00 UTC" from milliseconds since 1970.
std::string human_time(int64_t ms);

class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;  // aligned
    int importance = 0;  // on a narrow terminal the least important columns go first
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One text a column.
  void add(std::vector<std::string> row);
  // Lines with ends. `width` in characters, 0: as wide as it gets.
  std::string text(size_t width) const;

 private:
  std::vector<size_t> widths() const;
  std::vector<bool> chosen(const std::vector<size_t>& widths, size_t width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// An object as indented "key  value" lines; moments (`since`, `expires_at` ...) as dates.
std::string tree_text(const nlohmann::ordered_json& object);

// Characters in a line of the terminal at `fd`; 0 if it is none.
size_t terminal_width(int fd);

}  // namespace smartvpn::cli
