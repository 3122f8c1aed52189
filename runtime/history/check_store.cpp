#include "runtime/history/check_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runtime/history/content_store.h"
#include "runtime/history/event_blobs.h"
#include "runtime/history/event_codec.h"
#include "runtime/history/run_summary.h"
#include "runtime/run/run.h"

namespace weft::history {
namespace {

constexpr std::size_t kRunsAtOnce = 500;

constexpr const char* kRestore = "restore the last backup that verifies";
constexpr const char* kKeepAside =
    "its other events can still be read with `weft events`; submit it again, or restore the last backup that verifies";

// The name of the first field in which they differ; empty: none.
std::string first_difference(v1::Run a, v1::Run b) {
  const auto* type = v1::Run::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    v1::Run only_a;
    v1::Run only_b;
    a.GetReflection()->SwapFields(&a, &only_a, {field});
    b.GetReflection()->SwapFields(&b, &only_b, {field});
    if (only_a.SerializeAsString() != only_b.SerializeAsString()) return field->name();
  }
  return "";
}

class Checker {
 public:
  Checker(memory::Inspection& store, const std::function<void(const Fault& fault)>& on_fault)
      : store_(store), on_fault_(on_fault) {}

  Result<StoreCheck> run() {
    WEFT_TRY(const std::vector<std::string> structure, store_.structure());
    for (const std::string& fault : structure) complain("", "the file is damaged: " + fault, kRestore);
    WEFT_RETURN_IF_ERROR(look_at_blobs());
    WEFT_TRY(const std::uint64_t orphans, store_.orphans());
    if (orphans > 0) {
      complain("", fmt::format("{} batches of events belong to no run", orphans), kRestore);
    }
    WEFT_TRY(const memory::Inspection::RowFindings rows, store_.rows_beside());
    if (rows.orphans > 0) complain("", fmt::format("{} rows beside events belong to no run", rows.orphans), kRestore);
    if (rows.beyond > 0)
      complain("", fmt::format("{} rows beside events are such as no append writes", rows.beyond), kRestore);
    for (std::int64_t after = 0;;) {
      WEFT_TRY(const std::vector<memory::Inspection::Run> page, store_.runs(after, kRunsAtOnce));
      if (page.empty()) return result_;
      for (const auto& run : page) WEFT_RETURN_IF_ERROR(look_at(run));
      after = page.back().key;
    }
  }

 private:
  void complain(const std::string& run, std::string what, std::string way_out) {
    ++result_.faults;
    on_fault_({run, std::move(what), std::move(way_out)});
  }

  Status look_at_blobs() {
    return store_.blobs([&](const Digest& digest, std::string_view bytes) {
      ++result_.blobs;
      result_.blob_bytes += bytes.size();
      blobs_[digest] = bytes.size();
      if (sha256(bytes) == digest) return;
      complain("", fmt::format("the content {} is not what its name says", to_hex(view(digest))), kRestore);
    });
  }

  Status look_at(const memory::Inspection::Run& run) {
    ++result_.runs;
    History history;
    WEFT_RETURN_IF_ERROR(store_.batches(run.key, [&](const memory::EventBatch& batch) { read(run, batch, history); }));
    if (history.broken) return {};
    if (history.seq == 0) {
      complain(run.row.id, "it has no events", kKeepAside);
    } else if (history.ended != run.row.ended) {
      complain(run.row.id,
               history.ended ? "its events end it, and its row says that it goes on"
                             : "its row says that it has ended, and its events do not",
               kRestore);
    } else {
      look_at_row(run, history.summary);
    }
    WEFT_TRY(const bool known, store_.has_workflow(run.row.workflow_hash));
    if (!known) {
      complain(run.row.id,
               fmt::format("its workflow {} ({}) is not in the store", run.row.workflow, run.row.workflow_hash),
               "apply the file it was submitted with");
    }
    return {};
  }

  // What lists and `output` show of a run is its row, which its events must give again.
  void look_at_row(const memory::Inspection::Run& run, const v1::Run& summary) {
    const auto complain_of = [&](std::string_view part) {
      complain(run.row.id, fmt::format("its row tells another {} than its events", part), kRestore);
    };
    if (run.row.id != summary.id()) return complain_of("id");
    if (run.row.workflow != summary.workflow()) return complain_of("workflow");
    if (run.row.workflow_hash != summary.workflow_hash()) return complain_of("workflow_hash");
    // The row of a run that goes on is as of its first events; its events are read in its place.
    if (!run.row.ended) return;
    if (run.row.status != summary.status()) return complain_of("status");
    v1::Run stored;
    if (!stored.ParseFromString(run.row.summary)) return complain_of("summary");
    if (const std::string part = first_difference(stored, summary); !part.empty()) complain_of(part);
  }

  struct History {
    v1::Run summary;
    std::uint64_t seq = 0;
    std::int64_t at_us = 0;
    std::string digest;
    bool ended = false;
    bool broken = false;  // Said once; what follows is not compared.
  };

  // The events of one batch as what follows those before it.
  void read(const memory::Inspection::Run& run, const memory::EventBatch& batch, History& history) {
    if (history.broken) return;
    const auto broken = [&](std::string what) {
      history.broken = true;
      complain(run.row.id, std::move(what), kKeepAside);
    };
    if (batch.first_seq != history.seq + 1) {
      return broken(fmt::format("events {} to {} are missing", history.seq + 1, batch.first_seq - 1));
    }
    auto events = read_batch(batch.events);
    if (!events)
      return broken(fmt::format("events {} to {}: {}", batch.first_seq, batch.last_seq, events.error().message));
    for (const v1::Event& event : *events) {
      ++result_.events;
      v1::Event again = event;
      run::stamp(again, history.seq, history.at_us, history.digest, event.at_us(), event.epoch());
      if (again.seq() != event.seq() || again.at_us() != event.at_us() || again.digest() != event.digest()) {
        return broken(fmt::format("event {} is not the one that was written after event {}: its digest differs",
                                  event.seq(), history.seq));
      }
      history.seq = event.seq();
      history.at_us = event.at_us();
      history.digest = event.digest();
      history.ended = event.has_run_ended();
      add_to_summary(event, history.summary);
      each_blob(event, [&](const v1::Blob& blob, const std::string&) { look_at(run, event, blob); });
    }
    if (history.seq != batch.last_seq) {
      broken(fmt::format("events {} to {} are missing", history.seq + 1, batch.last_seq));
    }
  }

  void look_at(const memory::Inspection::Run& run, const v1::Event& event, const v1::Blob& blob) {
    const std::string name = to_hex(blob.sha256());
    const Digest digest = digest_of(blob).value_or(Digest{});
    const auto found = blobs_.find(digest);
    if (found == blobs_.end() || found->second != blob.size()) {
      return complain(run.row.id, fmt::format("event {} names the content {}, which is not there", event.seq(), name),
                      kKeepAside);
    }
    const auto kept = store_.keeps(run.key, digest);
    if (kept && !*kept) {
      complain(run.row.id,
               fmt::format("event {} names the content {}, which is not kept for this run", event.seq(), name),
               "back the store up before the next prune");
    }
  }

  memory::Inspection& store_;
  const std::function<void(const Fault& fault)>& on_fault_;
  std::map<Digest, std::uint64_t> blobs_;  // Sizes.
  StoreCheck result_;
};

}  // namespace

Result<StoreCheck> check_store(memory::Inspection& store, const std::function<void(const Fault& fault)>& on_fault) {
  return Checker(store, on_fault).run();
}

}  // namespace weft::history
