// Values that are packed come back as they were; bytes that claim more than they are do not.
#include "base/archive.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

using namespace weft;

namespace shelf {

enum class Colour : std::uint8_t { kRed, kBlue };
struct Leaf {
  std::string name;
  std::int64_t number = 0;
  bool operator==(const Leaf&) const = default;
};
struct Book {
  Colour colour = Colour::kRed;
  bool open = false;
  std::vector<Leaf> leaves;
  std::map<std::string, std::uint32_t> index;
  std::set<std::string> words;
  std::optional<std::string> title;
  std::unique_ptr<Leaf> marked;
};

template <class Archive>
void keep(Archive& archive, Leaf& leaf) {
  auto& [name, number] = leaf;
  archive(name, number);
}
template <class Archive>
void keep(Archive& archive, Book& book) {
  auto& [colour, open, leaves, index, words, title, marked] = book;
  archive(colour, open, leaves, index, words, title, marked);
}

}  // namespace shelf

namespace {

std::string packed(const shelf::Book& book) {
  Packer packer;
  packer(book);
  return packer.take();
}

shelf::Book full() {
  shelf::Book book{shelf::Colour::kBlue,
                   true,
                   {{"a", -1}, {"", INT64_MAX}},
                   {{"x", 7}, {"y", UINT32_MAX}},
                   {"one", "two"},
                   "T",
                   nullptr};
  book.marked = std::make_unique<shelf::Leaf>("m", INT64_MIN);
  return book;
}

}  // namespace

TEST_CASE("what is packed comes back as it was") {
  for (const bool is_full : {true, false}) {
    const shelf::Book book = is_full ? full() : shelf::Book{};
    const std::string bytes = packed(book);
    Unpacker unpacker(bytes);
    shelf::Book again;
    unpacker(again);
    REQUIRE(unpacker.is_whole());
    CHECK(again.colour == book.colour);
    CHECK(again.open == book.open);
    CHECK(again.leaves == book.leaves);
    CHECK(again.index == book.index);
    CHECK(again.words == book.words);
    CHECK(again.title == book.title);
    CHECK(static_cast<bool>(again.marked) == is_full);
    if (is_full) CHECK(*again.marked == *book.marked);
    CHECK(packed(again) == bytes);
  }
}

TEST_CASE("bytes that were cut, or go on behind the values, are not whole") {
  const std::string bytes = packed(full());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Unpacker unpacker(std::string_view(bytes).substr(0, size));
    shelf::Book book;
    unpacker(book);
    INFO(size);
    CHECK_FALSE(unpacker.is_whole());
  }
  const std::string longer = bytes + "x";
  Unpacker unpacker(longer);
  shelf::Book book;
  unpacker(book);
  CHECK_FALSE(unpacker.failed());
  CHECK_FALSE(unpacker.is_whole());
}

TEST_CASE("a count that is larger than the bytes behind it takes no memory") {
  const std::string huge = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F";
  std::vector<shelf::Leaf> leaves;
  Unpacker unpacker(huge);
  unpacker(leaves);
  CHECK(unpacker.failed());
  CHECK(leaves.empty());
  std::string text;
  Unpacker of_text(huge);
  of_text(text);
  CHECK(of_text.failed());
  CHECK(text.empty());
}
