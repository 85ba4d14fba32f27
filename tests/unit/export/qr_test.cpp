#include "export/qr.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "base/rng.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::exports {
namespace {

using ::smartvpn::testing::shell;
using ::smartvpn::testing::TemporaryFolder;

const std::string kConf =
    "[Interface]\nPrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\nAddress = 10.8.0.9/32, fd00:8::9/128\n\n"
    "[Peer]\nPublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=\nAllowedIPs = 0.0.0.0/0, ::/0\n";

// What a scanner reads that looks for nothing else: in so many modules there is now and then a bar code, too.
std::string scanned(const QrCode& code) {
  TemporaryFolder folder;
  auto png = code.png();
  if (!png) return "no PNG: " + png.error().text;
  auto result = shell("zbarimg --quiet --raw -Sdisable -Sqrcode.enable -Sbinary " + folder.write("code.png", *png) +
                      " 2>/dev/null");
  return result.exit_code == 0 ? result.output : "zbarimg failed: " + result.output;
}

std::string random_text(size_t size) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>('!' + system_rng().u32() % 90);
  return out;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

// The code with its border, '1' for dark, made from the matrix alone.
std::vector<std::string> framed(const QrCode& code) {
  std::vector<std::string> rows = lines(code.matrix());
  const std::string side(QrCode::kBorder, '0');
  for (std::string& row : rows) row = side + row + side;
  const std::vector<std::string> above(QrCode::kBorder, std::string(code.width() + 2 * QrCode::kBorder, '0'));
  rows.insert(rows.begin(), above.begin(), above.end());
  rows.insert(rows.end(), above.begin(), above.end());
  return rows;
}

TEST(QrCode, AScannerReadsThePng) {
  for (const std::string& text :
       {std::string("a"), kConf, std::string("gr\xc3\xbc\xc3\x9f \xe2\x82\xac"), random_text(1000)}) {
    auto code = QrCode::encode(text);
    ASSERT_TRUE(code);
    EXPECT_EQ(scanned(*code), text);
  }
}

TEST(QrCode, TheMatrixIsSquareAndHasItsFinders) {
  auto code = QrCode::encode(kConf);
  ASSERT_TRUE(code);
  const auto rows = lines(code->matrix());
  ASSERT_EQ(rows.size(), code->width());
  for (const auto& row : rows) {
    EXPECT_EQ(row.size(), code->width());
    EXPECT_EQ(row.find_first_not_of("01"), std::string::npos);
  }
  const char* finder[] = {"1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"};
  for (size_t y = 0; y < 7; ++y) {
    EXPECT_EQ(rows[y].substr(0, 7), finder[y]);
    EXPECT_EQ(rows[y].substr(code->width() - 7), finder[y]);
    EXPECT_EQ(rows[code->width() - 7 + y].substr(0, 7), finder[y]);
  }
}

TEST(QrCode, TheTextShowsTheMatrixTwoRowsALineWithItsBorder) {
  auto code = QrCode::encode(kConf);
  ASSERT_TRUE(code);
  std::vector<std::string> rows;
  for (const std::string& line : lines(code->text())) {
    std::string upper, lower;
    for (size_t i = 0; i < line.size(); i += line[i] == ' ' ? 1 : 3) {
      const std::string cell = line.substr(i, line[i] == ' ' ? 1 : 3);
      upper += cell == "█" || cell == "▀" ? '0' : '1';
      lower += cell == "█" || cell == "▄" ? '0' : '1';
      EXPECT_TRUE(cell == "█" || cell == "▀" || cell == "▄" || cell == " ") << cell;
    }
    rows.push_back(upper);
    rows.push_back(lower);
  }
  EXPECT_EQ(rows.back(), std::string(code->width() + 8, '1')) << "the half line below the border is not drawn";
  rows.pop_back();
  EXPECT_EQ(rows, framed(*code));
}

TEST(QrCode, TheSvgDrawsTheMatrixWithItsBorder) {
  auto code = QrCode::encode(kConf);
  ASSERT_TRUE(code);
  const std::string svg = code->svg();
  const size_t width = code->width() + 2 * QrCode::kBorder;
  const std::string side = std::to_string(width);
  EXPECT_NE(svg.find("viewBox=\"0 0 " + side + " " + side + "\""), std::string::npos);
  EXPECT_NE(svg.find("<rect width=\"" + side + "\" height=\"" + side + "\" fill=\"#fff\"/>"), std::string::npos);
  std::vector<std::string> rows(width, std::string(width, '0'));
  const size_t begin = svg.find(" d=\"") + 4;
  std::istringstream path(svg.substr(begin, svg.find('"', begin) - begin));
  size_t x = 0, y = 0, run = 0, back = 0, drawn = 0;
  for (char m, h, v, one, h2, minus, z; path >> m >> x >> y >> h >> run >> v >> one >> h2 >> minus >> back >> z;
       ++drawn) {
    ASSERT_EQ(std::string({m, h, v, one, h2, minus, z}), "Mhv1h-z");
    ASSERT_EQ(run, back);
    ASSERT_LE(x + run, width);
    rows.at(y).replace(x, run, run, '1');
  }
  EXPECT_GT(drawn, code->width());
  EXPECT_TRUE(path.eof());
  EXPECT_EQ(rows, framed(*code));
  TemporaryFolder folder;
  const auto parsed = shell(
      "/usr/bin/python3 -c 'import sys, xml.dom.minidom as d; "
      "print(d.parse(sys.argv[1]).documentElement.tagName)' " +
      folder.write("code.svg", svg));
  EXPECT_EQ(parsed.output, "svg\n");
}

TEST(QrCode, ThePngHasOneBitAPixelAndItsBorder) {
  auto code = QrCode::encode("a");
  ASSERT_TRUE(code);
  auto png = code->png();
  ASSERT_TRUE(png);
  ASSERT_GT(png->size(), 33u);
  const auto* header = reinterpret_cast<const uint8_t*>(png->data());
  EXPECT_EQ(png->substr(0, 8), "\x89PNG\r\n\x1a\n");
  const size_t width = (code->width() + 2 * QrCode::kBorder) * QrCode::kPngScale;
  EXPECT_EQ(load_be32(header + 16), width);
  EXPECT_EQ(load_be32(header + 20), width);
  EXPECT_EQ(header[24], 1) << "bits";
  EXPECT_LT(png->size(), 2000u);
}

TEST(QrCode, LevelMWhereItFitsElseLUpToTheLimit) {
  const std::string of_m = random_text(2331), above_m = random_text(2332), largest = random_text(QrCode::kMaxTextSize);
  for (const std::string& text : {of_m, above_m, largest}) {
    auto code = QrCode::encode(text);
    ASSERT_TRUE(code) << text.size();
    EXPECT_EQ(scanned(*code), text) << text.size();
    // The format bits, left of the upper left finder's foot, begin with the level and are masked with 10101:
    // 00 is M, 01 is L.
    const bool level_m = code->dark(0, 8) == true && code->dark(1, 8) == false;
    EXPECT_EQ(level_m, text.size() <= 2331u);
  }
  EXPECT_EQ(QrCode::encode(above_m)->width(), 161u) << "version 36 of level L is enough";
  auto too_large = QrCode::encode(random_text(QrCode::kMaxTextSize + 1));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().status, Status::LIMIT);
  EXPECT_EQ(QrCode::encode("").error().status, Status::INVALID);
}

TEST(QrCode, SeveralThreadsMakeTheSameCodes) {
  const std::string expected = QrCode::encode(kConf)->matrix();
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (int& count : right)
    threads.emplace_back([&count, &expected] {
      for (size_t size = 1; size <= 50; ++size) {
        auto other = QrCode::encode(std::string(size * 10, 'x'));
        count += other && other->png() && QrCode::encode(kConf)->matrix() == expected;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, std::vector<int>(4, 50));
}

}  // namespace
}  // namespace smartvpn::exports
