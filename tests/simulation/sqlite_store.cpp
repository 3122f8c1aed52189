#include "sqlite_store.h"

#include <string>

#include "verdict.h"

namespace weft::simulation {
namespace {

const std::string& path() {
  static const std::string kPath = "/simulated/weft.db";
  return kPath;
}

}  // namespace

SqliteStore::SqliteStore(Random& random) : random_(random), vfs_(random) {
  vfs_.make_empty(path());
  open();
}

void SqliteStore::open() {
  auto writer = memory::SqliteWriter::open(path());
  if (!writer) broken(Promise::kAcknowledged, "the store does not open: " + writer.error().message);
  writer_.emplace(*std::move(writer));
  auto reader = memory::SqliteReader::open(path());
  if (!reader) broken(Promise::kAcknowledged, "the store cannot be read: " + reader.error().message);
  reader_ = *std::move(reader);
}

void SqliteStore::lose_power() {
  reader_.reset();
  writer_.reset();
  vfs_.power_returns();
  open();
}

template <class Value, class Work>
Result<Value> SqliteStore::transaction(Work work) {
  const auto once = [&]() -> Result<Value> {
    WEFT_RETURN_IF_ERROR(writer_->begin());
    WEFT_TRY(Value value, work());
    WEFT_RETURN_IF_ERROR(writer_->commit());
    return value;
  };
  Result<Value> done = once();
  if (!done) {
    writer_->roll_back(done.error());
    done = once();
    if (!done) writer_->roll_back(done.error());
  }
  if (random_.one_in(20)) writer_->checkpoint();
  return done;
}

Result<std::vector<memory::Claim>> SqliteStore::claim(std::span<const std::uint32_t> wanted) {
  WEFT_RETURN_IF_ERROR(memory::check_partitions(wanted));
  return transaction<std::vector<memory::Claim>>([this] { return writer_->catalog().claim_all(); });
}

void SqliteStore::append(memory::Append append, memory::OnDurable on_durable) {
  auto applied = transaction<Result<memory::Appended>>([&] { return writer_->append(append); });
  if (!applied) writer_->note_failed(append.run, applied.error());
  on_durable(applied ? *std::move(applied) : Result<memory::Appended>(applied.error()));
}

void SqliteStore::put_workflow(memory::WorkflowRow row,
                               std::move_only_function<void(Result<memory::WorkflowRow>)> done) {
  done(transaction<memory::WorkflowRow>([&] { return writer_->catalog().put_workflow(row); }));
}

void SqliteStore::put_schedule(memory::ScheduleRow row, std::move_only_function<void(Status)> done) {
  auto put = transaction<Status>([&] { return writer_->catalog().put_schedule(row); });
  done(put ? *std::move(put) : Status(put.error()));
}

}  // namespace weft::simulation
