// The floor of W1: the same chain as bare SQLite would keep it, one INSERT and one COMMIT a step, no engine and no
// server.
//
// floor --scratch FOLDER --sync FULL|NORMAL --in-flight N --runs N [--results FILE]
//
// In flight means that the steps of so many runs interleave; one thread commits, so no two share a commit.
#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.h"
#include "bench/arguments.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/scratch.h"

namespace weft::bench {
namespace {

constexpr std::int64_t kSteps = 10;
using SteadyClock = std::chrono::steady_clock;

struct Chain {
  std::string id;
  std::int64_t v = 0;
  std::int64_t i = 0;
  SteadyClock::time_point begun;
};

class Table {
 public:
  Status open(const std::string& path, const std::string& sync) {
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) return internal("cannot open " + path);
    const std::string sql = fmt::format(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; "
        "CREATE TABLE step (run TEXT, i INTEGER, out TEXT, PRIMARY KEY (run, i)) WITHOUT ROWID",
        sync);
    if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return failed();
    if (sqlite3_prepare_v2(database_, "INSERT INTO step VALUES (?, ?, ?)", -1, &insert_, nullptr) != SQLITE_OK) {
      return failed();
    }
    return {};
  }
  ~Table() {
    sqlite3_finalize(insert_);
    sqlite3_close(database_);
  }

  // Durable when it returns.
  Status keep(const Chain& chain) {
    const std::string out = fmt::format(R"({{"i":{},"v":{}}})", chain.i, chain.v);
    sqlite3_bind_text(insert_, 1, chain.id.data(), static_cast<int>(chain.id.size()), SQLITE_STATIC);
    sqlite3_bind_int64(insert_, 2, chain.i);
    sqlite3_bind_text(insert_, 3, out.data(), static_cast<int>(out.size()), SQLITE_STATIC);
    const bool done = sqlite3_step(insert_) == SQLITE_DONE;
    sqlite3_reset(insert_);
    return done ? Status() : failed();
  }

 private:
  Status failed() const { return internal(sqlite3_errmsg(database_)); }
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

Status run(const Arguments& arguments) {
  const std::size_t runs = arguments.number("runs", 1000);
  const std::size_t in_flight = std::min(arguments.number("in-flight", 256), runs);
  const std::string sync = arguments.text("sync", "FULL");
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  const double syncs = syncs_per_second(scratch.file("sync"));
  std::vector<double> latencies_ms;
  double seconds = 0;
  const double cpu_before = own_cpu_seconds();
  {
    Table table;
    WEFT_RETURN_IF_ERROR(table.open(scratch.file("floor.db"), sync));
    std::size_t next = 0;
    const auto begin = [&] {
      Chain chain{fmt::format("r{}", next), static_cast<std::int64_t>(next), 0, SteadyClock::now()};
      ++next;
      return chain;
    };
    std::vector<Chain> chains;
    const auto begun = SteadyClock::now();
    while (chains.size() < in_flight) chains.push_back(begin());
    while (latencies_ms.size() < runs) {
      for (Chain& chain : chains) {
        if (chain.i == kSteps) continue;
        chain.v = (chain.v * 31 + chain.i) % 1'000'003;
        WEFT_RETURN_IF_ERROR(table.keep(chain));
        if (++chain.i < kSteps) continue;
        latencies_ms.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - chain.begun).count());
        if (next < runs) chain = begin();
      }
    }
    seconds = std::chrono::duration<double>(SteadyClock::now() - begun).count();
  }
  const double cpu = own_cpu_seconds() - cpu_before;
  const auto steps = static_cast<double>(runs * kSteps);
  Json row = Json::object();
  row["engine"] = "floor: bare SQLite";
  row["variant"] = std::getenv("LD_PRELOAD") == nullptr ? sync : sync + ", sync + 2 ms";
  row["n"] = runs;
  row["c"] = in_flight;
  row["runs_s"] = std::round(static_cast<double>(runs) / seconds * 10) / 10;
  row["steps_s"] = std::round(steps / seconds);
  row["p50"] = std::round(percentile(latencies_ms, 50) * 100) / 100;
  row["p99"] = std::round(percentile(latencies_ms, 99) * 100) / 100;
  row["cpu_per_1000_steps"] = std::round(cpu / steps * 1e6) / 1e3;
  row["disk_b_per_step"] = std::round(file_bytes(scratch.file("floor.db")) / steps);
  row["fsync_s"] = std::round(syncs);
  const std::string line = to_text(row);
  fmt::print("{}\n", line);
  const std::string results = arguments.text("results");
  return results.empty() ? Status() : append_line(results, line);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) {
  const auto read = weft::bench::Arguments::read(count, arguments);
  if (!read) return weft::bench::fail(read.error());
  const weft::Status status = weft::bench::run(*read);
  return status ? 0 : weft::bench::fail(status.error());
}
