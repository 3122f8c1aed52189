// Workflows and schedules.
#include <catch2/catch.hpp>

#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {

TEMPLATE_TEST_CASE("each new content under a name is its next version; an old one that comes again is applied anew",
                   "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const auto put = [&](const std::string& name, const std::string& hash, std::int64_t at) {
    WorkflowRow row{hash, name, 0, at_second(at), "bundle " + hash, "summary " + hash};
    Result<WorkflowRow> stored = internal("no answer came");
    store.journal.put_workflow(row, [&](Result<WorkflowRow> result) { stored = std::move(result); });
    store.journal.drain();
    return stored.value();
  };
  CHECK(put("review", "h1", 10).version == 1);
  CHECK(put("review", "h2", 20).version == 2);
  CHECK(put("other", "h3", 30).version == 1);
  CHECK(store.journal.workflow_by_name("review")->hash == "h2");

  const WorkflowRow again = put("review", "h1", 40);
  CHECK(again.version == 1);
  CHECK(again.applied_at == at_second(40));
  CHECK(store.journal.workflow_by_name("review")->hash == "h1");
  CHECK(store.journal.workflow_by_name("review")->applied_at == at_second(40));
  CHECK(store.journal.workflow_by_hash("h2")->bundle == "bundle h2");
  CHECK(put("review", "h4", 50).version == 3);

  const auto list = store.journal.workflows(10, "").value();
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "other");
  CHECK(list[1].hash == "h4");
  CHECK(list[1].summary == "summary h4");
  CHECK(list[1].bundle.empty());
  CHECK(store.journal.workflows(1, "").value().size() == 1);
  CHECK(store.journal.workflows(10, "other").value().at(0).name == "review");
  CHECK(store.journal.workflow_by_name("none").error().code == Code::kNotFound);
  CHECK(store.journal.workflow_by_hash("none").error().code == Code::kNotFound);
}

TEMPLATE_TEST_CASE("the state of a schedule is replaced, removed, and never written by an owner that was overtaken",
                   "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const Epoch epoch = claim_all(store.journal);
  const auto put = [&](const std::string& name, const std::string& state, Epoch by) {
    Status stored = internal("no answer came");
    store.journal.put_schedule({name, state, by}, [&](Status status) { stored = std::move(status); });
    store.journal.drain();
    return stored;
  };
  CHECK(put("weekly", "w1", epoch));
  CHECK(put("daily", "d1", epoch));
  CHECK(put("daily", "d2", epoch));
  auto kept = store.journal.schedules().value();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].name == "daily");
  CHECK(kept[0].state == "d2");
  CHECK(put("daily", "", epoch));
  CHECK(store.journal.schedules()->size() == 1);
  const Epoch next = claim_all(store.journal);
  CHECK(put("weekly", "stale", epoch).error().code == Code::kAborted);
  CHECK(store.journal.schedules()->front().state == "w1");
  CHECK(put("weekly", "w2", next));
  CHECK(store.journal.schedules()->front().state == "w2");
}

}  // namespace weft::memory::test
