// Rows beside events: durable with them or not at all.
#include <catch2/catch.hpp>

#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {
namespace {

// A row's value; "none" where there is no such row.
std::string value_of(const Journal& journal, const std::string& kind, const std::string& key) {
  const auto row = journal.row(kind, key);
  if (!row) return "error: " + row.error().message;
  return row->value_or("none");
}

Append with_change(Append append, RowChange change) {
  append.rows.push_back(std::move(change));
  return append;
}

}  // namespace

TEMPLATE_TEST_CASE("rows can be read from the moment on at which their events can", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  CHECK(value_of(store.journal, "memory", "k1") == "none");
  Names seen;
  std::uint64_t astray = 0;  // Answers at which events could be read and not their rows, or the reverse.
  for (std::uint64_t seq = 1; seq <= 50; ++seq) {
    Append append = seq == 1 ? first_append("a", store.epoch) : next_append("a", store.epoch, seq, seq);
    append.rows.push_back({"memory", "k" + std::to_string(seq), "v" + std::to_string(seq)});
    append.rows.push_back({"spending", "total", std::to_string(seq)});
    store.journal.append(std::move(append), [&, seq](const Result<Appended>& result) {
      seen.push_back(result ? value_of(store.journal, "memory", "k" + std::to_string(seq)) : outcome(result));
      // Later appends of the same transaction can be read too.
      const std::uint64_t total = std::stoull(value_of(store.journal, "spending", "total"));
      if (total < seq || store.journal.run("a")->last_seq < total) ++astray;
    });
  }
  store.journal.drain();
  CHECK(astray == 0);
  REQUIRE(seen.size() == 50);
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i] == "v" + std::to_string(i + 1));
  CHECK(value_of(store.journal, "spending", "total") == "50");
}

TEMPLATE_TEST_CASE("an append that fails writes none of its rows, and erases none", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  REQUIRE(store.append(with_row(first_append("a", store.epoch), "memory", "kept", "v")) == "");
  const auto tries = [&](Append append) {
    append.rows = {{"memory", "new", "v"}, {"memory", "kept", std::nullopt}};
    return store.append(std::move(append));
  };
  CHECK(tries(next_append("a", store.epoch - 1, 2, 2)) == "ABORTED");
  CHECK(tries(next_append("a", store.epoch + 1, 2, 2)) == "ABORTED");
  CHECK(tries(first_append("b", store.epoch - 1)) == "ABORTED");
  CHECK(tries(next_append("a", store.epoch, 3, 3)) == "DATA_LOSS");
  CHECK(tries(next_append("never-created", store.epoch, 2, 2)) == "DATA_LOSS");
  Append other = next_append("a", store.epoch, 1, 1);
  other.events = "something else";
  CHECK(tries(other) == "DATA_LOSS");
  const Epoch stale = store.epoch;
  const Epoch current = claim_all(store.journal);
  CHECK(tries(next_append("a", stale, 2, 2)) == "ABORTED");
  CHECK(keys(store.journal.rows("memory", "", 10, "")) == Names{"kept"});
  CHECK(tries(next_append("a", current, 2, 2)) == "");
  CHECK(keys(store.journal.rows("memory", "", 10, "")) == Names{"new"});
}

TEMPLATE_TEST_CASE("an append that comes again writes no row again", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  REQUIRE(store.create("a") == "");
  const Append put = with_row(next_append("a", store.epoch, 2, 2), "memory", "k", "first");
  const Append erased = with_change(next_append("a", store.epoch, 3, 3), {"memory", "k", std::nullopt});
  const Append put_later = with_row(next_append("a", store.epoch, 4, 4), "memory", "k", "later");
  CHECK(store.append(put) == "");
  CHECK(store.append(put) == "");
  CHECK(value_of(store.journal, "memory", "k") == "first");
  CHECK(store.append(erased) == "");
  CHECK(store.append(put) == "");
  CHECK(value_of(store.journal, "memory", "k") == "none");
  CHECK(store.append(put_later) == "");
  CHECK(store.append(erased) == "");
  CHECK(store.append(put) == "");
  CHECK(value_of(store.journal, "memory", "k") == "later");
}

TEMPLATE_TEST_CASE("a submission whose run is there already writes no row", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const auto submit = [&](const std::string& run, const std::string& digest) {
    Append append = with_row(first_append(run, store.epoch), "memory", run, "v");
    append.create->request_id = "req";
    append.create->request_digest = digest;
    return append_now(store.journal, std::move(append));
  };
  CHECK(submit("a", "same")->existing_run.empty());
  CHECK(submit("b", "same")->existing_run == "a");
  CHECK(submit("c", "different").error().code == Code::kAlreadyExists);
  CHECK(keys(store.journal.rows("memory", "", 10, "")) == Names{"a"});
}

TEMPLATE_TEST_CASE("a row is replaced as a whole, erased, and put again; the later of two changes counts", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  REQUIRE(store.append(with_row(first_append("a", store.epoch), "memory", "k", "a long first value")) == "");
  REQUIRE(store.append(with_row(first_append("b", store.epoch), "memory", "k", "b's")) == "");
  CHECK(value_of(store.journal, "memory", "k") == "b's");  // Rows belong to the store, whichever run writes them.
  CHECK(value_of(store.journal, "spending", "k") == "none");
  Append several = next_append("a", store.epoch, 2, 2);
  several.rows = {{"memory", "k", std::nullopt},
                  {"memory", "k", ""},
                  {"memory", "x", "1"},
                  {"memory", "x", std::nullopt},
                  {"memory", "never", std::nullopt}};
  REQUIRE(store.append(std::move(several)) == "");
  CHECK(store.journal.row("memory", "k").value() == std::optional<std::string>(""));  // Empty, and there.
  CHECK(value_of(store.journal, "memory", "x") == "none");
  const std::string bytes("a\0b\xff", 4);
  REQUIRE(store.append(with_row(next_append("a", store.epoch, 3, 3), "memory", bytes, bytes)) == "");
  CHECK(value_of(store.journal, "memory", bytes) == bytes);
}

TEMPLATE_TEST_CASE("rows come by kind and prefix in the order of their keys' bytes, in pages", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  const Names in_order{"a",       std::string("a\0", 2), "a/1", "a/2", "ab", "b", "\x7f", "\x80", "\xc3\xa9", "\xff",
                       "\xff\xff"};
  Append append = first_append("a", store.epoch);
  for (std::size_t i = in_order.size(); i > 0; --i) append.rows.push_back({"memory", in_order[i - 1], "v"});
  append.rows.push_back({"memory2", "a", "of another kind"});
  append.rows.push_back({"memor", "z", "of another kind"});
  REQUIRE(store.append(std::move(append)) == "");
  const auto read = [&](std::string_view prefix, std::size_t limit) {
    Names found;
    std::string after;
    do {
      const auto page = store.journal.rows("memory", prefix, limit, after);
      REQUIRE(page);
      REQUIRE(page->rows.size() <= limit);
      for (const Row& row : page->rows) {
        CHECK(row.kind == "memory");
        CHECK(row.value == "v");
        found.push_back(row.key);
      }
      after = page->next;
    } while (!after.empty());
    return found;
  };
  for (const std::size_t limit : {1U, 2U, 3U, 100U}) {
    CHECK(read("", limit) == in_order);
    CHECK(read("a", limit) == Names(in_order.begin(), in_order.begin() + 5));
    CHECK(read("a/", limit) == Names{"a/1", "a/2"});
    CHECK(read("\xff", limit) == Names{"\xff", "\xff\xff"});
    CHECK(read("c", limit).empty());
  }
  CHECK(keys(store.journal.rows("memory", "a/", 10, "a/1")) == Names{"a/2"});
  CHECK(keys(store.journal.rows("memory", "a/", 10, "a/11")) == Names{"a/2"});  // A key that is not there.
  CHECK(keys(store.journal.rows("memory", "a/", 10, "b")).empty());
  CHECK(keys(store.journal.rows("nothing", "", 10, "")).empty());
  const auto none = store.journal.rows("memory", "", 0, "");
  CHECK(none->rows.empty());
  CHECK(none->next.empty());
}

TEMPLATE_TEST_CASE("a page of rows is bounded, whatever is asked for", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  REQUIRE(store.create("a") == "");
  std::uint64_t seq = 2;
  const auto fill = [&](const std::string& kind, std::size_t rows, std::size_t bytes) {
    for (std::size_t begun = 0; begun < rows; begun += kRowChangesMax) {
      Append append = next_append("a", store.epoch, seq, seq);
      ++seq;
      for (std::size_t i = begun; i < std::min(rows, begun + kRowChangesMax); ++i)
        append.rows.push_back({kind, std::to_string(10'000 + i), std::string(bytes, 'v')});
      REQUIRE(store.append(std::move(append)) == "");
    }
  };
  fill("many", kRowsPageMax + 1, 1);
  const auto many = store.journal.rows("many", "", SIZE_MAX, "");
  CHECK(many->rows.size() == kRowsPageMax);
  CHECK(store.journal.rows("many", "", SIZE_MAX, many->next)->rows.size() == 1);
  fill("long", 40, kRowValueBytesMax);
  const auto page = store.journal.rows("long", "", 40, "");
  CHECK(page->rows.size() == kRowsPageBytesMax / kRowValueBytesMax);
  const auto rest = store.journal.rows("long", "", 40, page->next);
  CHECK(rest->rows.size() == 40 - page->rows.size());
  CHECK(rest->next.empty());
}

TEMPLATE_TEST_CASE("an append whose rows break a limit is refused with its name, and writes nothing", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const auto tries = [&](const std::vector<RowChange>& rows) {
    Append append = first_append("a", store.epoch);
    append.rows = rows;
    const auto result = append_now(store.journal, std::move(append));
    CHECK(store.journal.run("a").has_value() == result.has_value());
    if (result) return std::string();
    CHECK(result.error().code == Code::kInvalidArgument);
    CHECK_FALSE(may_heal(result.error()));
    for (const Detail& detail : result.error().details) {
      if (detail.key == "limit") return detail.value;
    }
    return std::string("unnamed");
  };
  const std::string kind(kRowKindBytesMax, 'k');
  const std::string key(kRowKeyBytesMax, '\xff');
  const std::string value(kRowValueBytesMax, 'v');
  CHECK(tries({{kind + "k", key, value}}) == "row_kind_bytes_max");
  CHECK(tries({{kind, key + "x", value}}) == "row_key_bytes_max");
  CHECK(tries({{kind, key + "x", std::nullopt}}) == "row_key_bytes_max");
  CHECK(tries({{kind, key, value + "v"}}) == "row_value_bytes_max");
  CHECK(tries(std::vector<RowChange>(kRowChangesMax + 1, {"memory", "k", "v"})) == "row_changes_max");
  CHECK(tries({{"", "k", "v"}}) == "unnamed");
  CHECK(tries({{"memory", "", "v"}}) == "unnamed");
  CHECK(tries({{"Memory", "k", "v"}}) == "unnamed");
  CHECK(tries(std::vector<RowChange>(kRowChangesMax, {kind, key, value})) == "");
  CHECK(value_of(store.journal, kind, key) == value);
}

TEMPLATE_TEST_CASE("rows that break a limit do not harm the neighbours of their append", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  Names outcomes;
  const auto note = [&](const Result<Appended>& result) { outcomes.push_back(outcome(result)); };
  store.journal.append(with_row(first_append("a", store.epoch), "memory", "a", "v"), note);
  store.journal.append(with_row(first_append("b", store.epoch), "memory", "", "v"), note);
  store.journal.append(with_row(next_append("a", store.epoch, 2, 2), "memory", "c", "v"), note);
  store.journal.drain();
  CHECK(outcomes == Names{"", "INVALID_ARGUMENT", ""});
  CHECK(keys(store.journal.rows("memory", "", 10, "")) == Names{"a", "c"});
}

TEMPLATE_TEST_CASE("rows of each lifetime stay when their run ends", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  REQUIRE(store.create("a") == "");
  Append end = next_append("a", store.epoch, 2, 2);
  end.update = RunRow{};
  end.update->ended = true;
  end.rows = {{"memory", "stays", "v"}, {"memory", "goes with its run", "v", RowLife::kRun}};
  REQUIRE(store.append(std::move(end)) == "");
  CHECK(keys(store.journal.rows("memory", "", 10, "")) == Names{"goes with its run", "stays"});
}

}  // namespace weft::memory::test
