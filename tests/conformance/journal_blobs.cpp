// Blobs: kept by content, and whose they are.
#include <catch2/catch.hpp>

#include "base/bytes.h"
#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {

TEMPLATE_TEST_CASE("blobs are kept by content, whoever writes them", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const std::string bytes(100'000, '\0');
  const Digest digest = sha256(bytes);
  for (const char* run : {"a", "b"}) {
    Append append = first_append(run, store.epoch);
    append.blobs.push_back({digest, std::make_shared<const std::string>(bytes)});
    append.blobs.push_back({sha256(""), std::make_shared<const std::string>()});
    CHECK(store.append(std::move(append)) == "");
  }
  CHECK(*store.journal.blob(digest).value() == bytes);
  CHECK(store.journal.blob(sha256("")).value()->empty());
  CHECK(store.journal.blob(sha256("unknown")).error().code == Code::kNotFound);
}

TEMPLATE_TEST_CASE("a blob is read in pieces, by the runs that were written with it and by no other", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  std::string bytes(300'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 1000);
  const Digest digest = sha256(bytes);
  for (const char* run : {"mine", "same"}) {
    Append append = first_append(run, store.epoch);
    append.blobs.push_back({digest, std::make_shared<const std::string>(bytes)});
    REQUIRE(store.append(std::move(append)) == "");
  }
  Append shares = first_append("shares", store.epoch);
  shares.shared.push_back(digest);
  REQUIRE(store.append(std::move(shares)) == "");
  REQUIRE(store.create("other") == "");
  for (const char* run : {"mine", "same", "shares"}) {
    std::string read;
    while (true) {
      const auto piece = store.journal.blob_piece(run, digest, read.size(), 65'536);
      REQUIRE(piece);
      CHECK(piece->size == bytes.size());
      CHECK(piece->bytes.size() <= 65'536);
      if (piece->bytes.empty()) break;
      read += piece->bytes;
    }
    CHECK(read == bytes);
    CHECK(store.journal.blob_piece(run, digest, ~std::uint64_t{0}, 1)->bytes.empty());
    CHECK(store.journal.blob_piece(run, sha256("another"), 0, 1).error().code == Code::kNotFound);
  }
  CHECK(store.journal.blob_piece("other", digest, 0, 1).error().code == Code::kNotFound);
  CHECK(store.journal.blob_piece("nobody", digest, 0, 1).error().code == Code::kNotFound);
}

}  // namespace weft::memory::test
