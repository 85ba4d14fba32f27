// Feeds the seeds of a fuzz target without libFuzzer, so that every compiler and sanitizer runs them:
// each file whole, cut at every length, and with every byte damaged. Long files, and those of a folder with many, at
// spread places: INPUTS (4000) is about how many inputs it may come to.
//
//   fuzz_replay TARGET FOLDER [INPUTS]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
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

constexpr size_t kMaxPlaces = 256;   // of a file that are cut or damaged
constexpr size_t kInputsAPlace = 4;  // one cut, three damaged
constexpr size_t kUsualInputs = 4000;

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

size_t replay(Target target, const Input& whole, size_t places) {
  places = std::min(places, whole.size());
  feed(target, whole.data(), whole.size());
  Input damaged = whole;
  for (size_t place = 0; place < places; ++place) {
    const size_t at = whole.size() * place / places;
    feed(target, whole.data(), at);
    for (uint8_t mask : {0x01, 0x80, 0xff}) {
      damaged[at] = whole[at] ^ mask;
      feed(target, damaged.data(), damaged.size());
    }
    damaged[at] = whole[at];
  }
  return 1 + places * kInputsAPlace;
}

}  // namespace

int main(int argc, char** argv) {
  Target target = argc == 3 || argc == 4 ? find_target(argv[1]) : nullptr;
  if (!target) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET FOLDER [INPUTS]\n");
    return 2;
  }
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2], error))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  const size_t inputs = argc == 4 ? std::strtoul(argv[3], nullptr, 10) : kUsualInputs;
  const size_t places = std::min(kMaxPlaces, inputs / kInputsAPlace / std::max<size_t>(1, files.size()));
  size_t runs = 0;
  for (const auto& file : files) {
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout);  // the last line names the file that ended the program
    std::ifstream in(file, std::ios::binary);
    runs += replay(target, Input(std::istreambuf_iterator<char>(in), {}), places);
  }
  std::printf("%zu files, %zu inputs\n", files.size(), runs);
  if (files.size() < 5) std::fprintf(stderr, "a target needs at least five seeds\n");
  return files.size() < 5;
}
