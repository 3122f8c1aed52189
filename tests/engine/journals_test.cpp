// Stores that earlier versions of weft wrote: what they recorded is read as it was, and what they left unfinished ends.
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "fixture.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/history/content_store.h"
#include "runtime/history/stored_workflow.h"
#include "runtime/run/run.h"
#include "sim/provider.h"
#include "tests/folder.h"
#include "tools/files.h"
#include "weft/v1/workflows.pb.h"

using namespace weft;
using namespace weft::engine;

namespace {

// Folds a run from its events and from a snapshot of nothing: what its trace says must be what happened.
void check_fold(const Engine& engine, const v1::Run& run, const run::ToolTable& table, const memory::Reader& reader) {
  INFO("run " << run.id() << " of " << run.workflow());
  v1::WorkflowsGetRequest get;
  get.set_hash(run.workflow_hash());
  const auto stored = engine.get_workflow(get);
  REQUIRE(stored);
  workflows::World world;
  for (const tools::ToolSpec& spec : tools::file_tool_specs())
    world.tools.push_back({spec.name, spec.input_schema, spec.effect});
  const workflows::Loaded loaded = workflows::load(history::from_wire(stored->bundle()), world);
  REQUIRE(loaded.workflow);
  CHECK(loaded.workflow->hash == run.workflow_hash());
  history::ContentStore contents(reader);
  run::Run folded(loaded.workflow, table, contents);
  const auto events = engine.events(run.id(), 1, std::size_t{64} << 20);
  REQUIRE(events);
  std::string digest;
  for (const v1::Event& event : *events) {
    v1::Event again = event;
    run::stamp(again, folded.last_seq(), folded.last_at_us(), folded.digest(), event.at_us(), event.epoch());
    CHECK(again.digest() == event.digest());
    const Status applied = folded.apply(event);
    INFO(event.ShortDebugString());
    REQUIRE(applied);
  }
  CHECK(folded.digest() == run.digest());
  CHECK(folded.ended() == (run.ended_at_us() != 0));
}

}  // namespace

TEST_CASE("the stores of earlier versions are read as they were, and their unfinished runs end") {
  workflows::Diagnostics diagnostics("script");
  const auto script = sim::Script::read(
      "sim: 1\ncache: {delay: 0s}\nrules:\n  - {when: {step: \"^Sum up\"}, reply: "
      "{text: '{\"n\": 3}'}}\n  - {reply: {echo: true}}\n",
      diagnostics);
  REQUIRE(script);
  const auto provider = sim::Provider::start(script, {});
  REQUIRE(provider);
  int stores = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEFT_SOURCE_DIR "/tests/journals")) {
    if (entry.path().extension() != ".db") continue;
    ++stores;
    INFO(entry.path());
    const Folder folder;
    std::filesystem::copy_file(entry.path(), folder / "weft.db");
    std::filesystem::permissions(folder / "weft.db", std::filesystem::perms::owner_all);
    SystemClock clock;
    SystemEntropy entropy;
    auto journal = memory::open_sqlite({.path = folder / "weft.db"});
    REQUIRE(journal);
    const memory::Journal& reader = **journal;
    EngineParts parts{*std::move(journal), std::make_unique<tools::Toolbox>(), &clock, &entropy};
    REQUIRE(tools::add_file_tools(*parts.tools, folder.path(), {}));
    const run::ToolTable table = history::tool_table(parts.tools->specs());
    EngineOptions options;
    options.config.model_url = (*provider)->base_url();
    options.config.simulated = true;
    options.environment = [](const std::string&) { return std::optional<std::string>(); };
    const auto engine = Engine::start(std::move(parts), std::move(options));
    REQUIRE(engine);
    const auto list = [&] {
      auto runs = (*engine)->list_runs({});
      REQUIRE(runs);
      return *std::move(runs);
    };
    CHECK(testing::eventually([&] {
      const v1::RunsListResponse all = list();
      return std::ranges::all_of(all.runs(), [](const v1::Run& run) { return run.ended_at_us() != 0; });
    }));
    const v1::RunsListResponse all = list();
    CHECK(all.runs_size() >= 6);
    for (const v1::Run& run : all.runs()) {
      check_fold(**engine, run, table, reader);
      v1::TracesReplayRequest again;
      again.set_run_id(run.id());
      again.set_deep(true);
      const auto replayed = (*engine)->replay(again);
      REQUIRE(replayed);
      for (const v1::Difference& difference : replayed->differences()) {
        UNSCOPED_INFO(run.workflow() << " " << difference.seq() << " " << difference.path() << ": "
                                     << difference.what());
      }
      // Keys were formed otherwise before there were effects: what left under one is known by it.
      const bool of_old_keys = std::ranges::all_of(replayed->differences(), [](const v1::Difference& difference) {
        return difference.what() == "fs.append was called under another key than now";
      });
      CHECK(of_old_keys);
      CHECK((replayed->differences_found() == 0 || entry.path().filename() == "weft-0.1.0.db"));
    }
  }
  CHECK(stores >= 1);
}
