// Feeds the seeds of a fuzz target without libFuzzer, so that every compiler and sanitizer runs them:
// each file whole, cut at every length, and with every byte damaged (long files: at spread places).
//
//   fuzz_replay TARGET FOLDER
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#define TARGET(name) extern "C" int name(const uint8_t*, size_t);
#include "replay_table.inc"
#undef TARGET

namespace {

using Target = int (*)(const uint8_t*, size_t);
using Input = std::vector<uint8_t>;

constexpr size_t kPlaces = 256;  // of a file that are cut or damaged

Target find_target(const char* wanted) {
#define TARGET(name) \
  if (std::strcmp(wanted, #name) == 0) return name;
#include "replay_table.inc"
#undef TARGET
  return nullptr;
}

// On the heap and of exactly this size, so that a sanitizer sees every read past the end.
void feed(Target target, const uint8_t* data, size_t size) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  std::copy(data, data + size, copy.get());
  target(copy.get(), size);
}

size_t replay(Target target, const Input& whole) {
  size_t step = std::max<size_t>(1, whole.size() / kPlaces), runs = 1;
  feed(target, whole.data(), whole.size());
  Input damaged = whole;
  for (size_t i = 0; i < whole.size(); i += step) {
    feed(target, whole.data(), i);
    for (uint8_t mask : {0x01, 0x80, 0xff}) {
      damaged[i] = whole[i] ^ mask;
      feed(target, damaged.data(), damaged.size());
    }
    damaged[i] = whole[i];
    runs += 4;
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  Target target = argc == 3 ? find_target(argv[1]) : nullptr;
  if (!target) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET FOLDER\n");
    return 2;
  }
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2], error))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  size_t runs = 0;
  for (const auto& file : files) {
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout);  // the last line names the file that ended the program
    std::ifstream in(file, std::ios::binary);
    runs += replay(target, Input(std::istreambuf_iterator<char>(in), {}));
  }
  std::printf("%zu files, %zu inputs\n", files.size(), runs);
  if (files.size() < 5) std::fprintf(stderr, "a target needs at least five seeds\n");
  return files.size() < 5;
}
