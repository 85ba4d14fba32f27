// The table of addresses, against one without bounds: whoever has a row, nothing that was counted is lost.
#include "relay/address_book.hpp"

#include <gtest/gtest.h>

#include <random>

namespace smartvpn::relay {
namespace {

using BookRows = std::unordered_map<inet::IpAddress, AddressStats, inet::IpAddressHash>;

inet::IpAddress book_ip(const char* text) { return *inet::IpAddress::parse(text); }
inet::IpAddress nth_address(uint32_t n) {
  if (n % 2 == 0) return inet::IpAddress::v4(0x0a000000u + n);
  std::array<uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
  store_be32(&bytes[12], n);
  return inet::IpAddress::v6(bytes);
}

BookRows rows_of(const AddressBook& book) {
  BookRows out;
  book.add_to(out);
  return out;
}
std::array<uint64_t, 4> figures(const AddressStats& stats) {
  return {stats.connections_open, stats.connections_total, stats.bytes_in, stats.bytes_out};
}
using Figures = std::array<uint64_t, 4>;
Figures row_figures(const AddressBook& book, const char* address) {
  const BookRows rows = rows_of(book);
  const auto found = rows.find(book_ip(address));
  return found != rows.end() ? figures(found->second) : Figures{};
}
bool has_row(const AddressBook& book, const char* address) { return rows_of(book).count(book_ip(address)) != 0; }

TEST(AddressBook, CountsByAddress) {
  AddressBook book(10);
  book.opened(book_ip("192.0.2.1"));
  book.opened(book_ip("192.0.2.1"));
  book.opened(book_ip("2001:db8::1"));
  book.moved(book_ip("192.0.2.1"), 3, 4);
  book.moved(book_ip("192.0.2.1"), 10, 0);
  book.moved(book_ip("2001:db8::1"), 0, UINT64_MAX / 2);
  book.closed(book_ip("192.0.2.1"));
  EXPECT_EQ(book.size(), 2u);
  EXPECT_EQ(row_figures(book, "192.0.2.1"), (Figures{1, 2, 13, 4}));
  EXPECT_EQ(row_figures(book, "2001:db8::1"), (Figures{1, 1, 0, UINT64_MAX / 2}));
  EXPECT_EQ(figures(book.others()), Figures{});
  for (const auto& [address, row] : rows_of(book)) EXPECT_EQ(row.address, address);
}

TEST(AddressBook, AMappedAddressIsItsIpv4One) {
  AddressBook book(10);
  book.opened(book_ip("::ffff:192.0.2.1"));
  book.opened(book_ip("192.0.2.1"));
  EXPECT_EQ(book.size(), 1u);
  EXPECT_EQ(row_figures(book, "192.0.2.1"), (Figures{2, 2, 0, 0}));
  book.opened(book_ip("2001:db8::1"));
  book.opened(book_ip("2001:db8::2"));
  EXPECT_EQ(book.size(), 3u) << "addresses, not the /64 of limits";
}

TEST(AddressBook, AddsToWhatIsThere) {
  AddressBook first(10), second(10);
  for (AddressBook* book : {&first, &second}) {
    book->opened(book_ip("192.0.2.1"));
    book->moved(book_ip("192.0.2.1"), 1, 2);
  }
  second.opened(book_ip("192.0.2.2"));
  BookRows sum = rows_of(first);
  second.add_to(sum);
  EXPECT_EQ(figures(sum[book_ip("192.0.2.1")]), (Figures{2, 2, 2, 4}));
  EXPECT_EQ(figures(sum[book_ip("192.0.2.2")]), (Figures{1, 1, 0, 0}));
  EXPECT_EQ(sum.size(), 2u);
}

TEST(AddressBook, TheLongestIdleMakesRoomAndIsCountedWithTheOthers) {
  AddressBook book(3);
  for (const char* address : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    book.opened(book_ip(address));
    book.moved(book_ip(address), 5, 7);
  }
  for (const char* address : {"192.0.2.2", "192.0.2.1"}) book.closed(book_ip(address));
  book.opened(book_ip("192.0.2.4"));
  EXPECT_FALSE(has_row(book, "192.0.2.2")) << "it closed first";
  EXPECT_EQ(figures(book.others()), (Figures{0, 1, 5, 7}));
  book.opened(book_ip("192.0.2.5"));
  EXPECT_FALSE(has_row(book, "192.0.2.1"));
  EXPECT_EQ(figures(book.others()), (Figures{0, 2, 10, 14}));
  EXPECT_EQ(book.size(), 3u);
}

TEST(AddressBook, WhoComesAgainIsNoLongerIdle) {
  AddressBook book(2);
  for (const char* address : {"192.0.2.1", "192.0.2.2"}) {
    book.opened(book_ip(address));
    book.closed(book_ip(address));
  }
  book.opened(book_ip("192.0.2.1"));
  book.closed(book_ip("192.0.2.1"));
  book.opened(book_ip("192.0.2.3"));
  EXPECT_TRUE(has_row(book, "192.0.2.1"));
  EXPECT_FALSE(has_row(book, "192.0.2.2"));
  EXPECT_EQ(row_figures(book, "192.0.2.1"), (Figures{0, 2, 0, 0}));
}

TEST(AddressBook, WhereAllAreBusyANewcomerIsCountedWithTheOthers) {
  AddressBook book(1);
  book.opened(book_ip("192.0.2.1"));
  book.opened(book_ip("192.0.2.2"));
  book.opened(book_ip("2001:db8::1"));
  book.moved(book_ip("192.0.2.2"), 3, 4);
  EXPECT_EQ(book.size(), 1u);
  EXPECT_EQ(figures(book.others()), (Figures{2, 2, 3, 4}));
  book.closed(book_ip("2001:db8::1"));
  book.closed(book_ip("192.0.2.2"));
  EXPECT_EQ(figures(book.others()), (Figures{0, 2, 3, 4}));
  EXPECT_EQ(row_figures(book, "192.0.2.1"), (Figures{1, 1, 0, 0}));
}

TEST(AddressBook, WhoGetsARowLateKeepsWhatIsOpenWithTheOthers) {
  AddressBook book(1);
  book.opened(book_ip("192.0.2.1"));
  book.opened(book_ip("192.0.2.2"));
  book.opened(book_ip("192.0.2.2"));
  book.closed(book_ip("192.0.2.1"));
  book.opened(book_ip("192.0.2.2"));  // takes the idle one's place
  EXPECT_EQ(row_figures(book, "192.0.2.2"), (Figures{1, 1, 0, 0}));
  EXPECT_EQ(figures(book.others()), (Figures{2, 3, 0, 0}));
  book.closed(book_ip("192.0.2.2"));
  EXPECT_EQ(row_figures(book, "192.0.2.2"), (Figures{0, 1, 0, 0}));
  book.closed(book_ip("192.0.2.2"));
  EXPECT_EQ(figures(book.others()), (Figures{1, 3, 0, 0}));
  // The row goes, and one of its address is still open.
  book.opened(book_ip("192.0.2.3"));
  book.moved(book_ip("192.0.2.2"), 8, 9);
  book.closed(book_ip("192.0.2.2"));
  EXPECT_EQ(figures(book.others()), (Figures{0, 4, 8, 9}));
  EXPECT_EQ(row_figures(book, "192.0.2.3"), (Figures{1, 1, 0, 0}));
}

TEST(AddressBook, WithoutRowsItCountsAll) {
  AddressBook book(0);
  book.opened(book_ip("192.0.2.1"));
  book.moved(book_ip("192.0.2.1"), 1, 2);
  EXPECT_EQ(book.size(), 0u);
  EXPECT_TRUE(rows_of(book).empty());
  EXPECT_EQ(figures(book.others()), (Figures{1, 1, 1, 2}));
}

TEST(AddressBook, AFloodOfAddressesTakesNoMoreThanItsRows) {
  AddressBook book(16);
  book.opened(book_ip("192.0.2.1"));
  for (uint32_t i = 0; i < 100000; ++i) {
    book.opened(nth_address(i));
    book.closed(nth_address(i));
    ASSERT_LE(book.size(), 16u);
  }
  EXPECT_TRUE(has_row(book, "192.0.2.1")) << "who has something open stays";
  EXPECT_EQ(rows_of(book).size(), 16u);
  EXPECT_EQ(book.others().connections_total, 100000u - 15);
}

TEST(AddressBook, AgreesWithATableWithoutBounds) {
  std::mt19937 random(11);
  for (size_t most : {size_t{0}, size_t{1}, size_t{3}, size_t{10}, size_t{100}}) {
    AddressBook book(most);
    std::vector<AddressStats> slow(30);
    for (int step = 0; step < 20000; ++step) {
      const uint32_t who = static_cast<uint32_t>(random() % slow.size());
      const inet::IpAddress address = nth_address(who);
      AddressStats& expected = slow[who];
      // Times with many open ones, and times with few.
      const bool opening = random() % 100 < (step / 1000 % 2 == 0 ? 60u : 35u);
      if (opening) {
        book.opened(address);
        ++expected.connections_open;
        ++expected.connections_total;
      } else if (expected.connections_open > 0) {
        const uint64_t in = random() % 1000, out = random() % 1000;
        book.moved(address, in, out);
        expected.bytes_in += in;
        expected.bytes_out += out;
        book.closed(address);
        --expected.connections_open;
      }
      ASSERT_LE(book.size(), most);
      if (step % 50 != 0) continue;
      Figures total{}, counted = figures(book.others());
      const BookRows rows = rows_of(book);
      ASSERT_EQ(rows.size(), book.size());
      for (uint32_t i = 0; i < slow.size(); ++i) {
        const Figures all = figures(slow[i]);
        const auto found = rows.find(nth_address(i));
        const Figures here = found != rows.end() ? figures(found->second) : Figures{};
        for (size_t f = 0; f < 4; ++f) {
          total[f] += all[f];
          counted[f] += here[f];
          ASSERT_LE(here[f], all[f]) << "a row has nothing of another's";
        }
        ASSERT_TRUE(here == all || most < slow.size());
      }
      ASSERT_EQ(counted, total) << most << " " << step;
    }
  }
}

}  // namespace
}  // namespace smartvpn::relay
