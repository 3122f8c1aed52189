// Memory of open model streams: so many runs, each with one model call that streams slowly, all at the same time.
//
// streams --server PROGRAM --source PROGRAM --scratch FOLDER --streams N [--interval MS] [--results FILE]
//
// Reports the server's resident memory before the first of them and while all are open, and sees each run end rightly.
#include <fmt/format.h>

#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/measured_server.h"
#include "bench/scratch.h"

namespace weft::bench {
namespace {

constexpr std::chrono::seconds kOpenPatience{120};
constexpr std::chrono::seconds kSettle{3};  // With all streams open, before the memory is read.
constexpr std::size_t kSubmitInFlight = 64;

constexpr const char* kWorkflow = R"(weft: 1
name: streams
input: {id: integer}
steps:
  answer: {prompt: "Tell me a slow story about {{ input.id }}.", retry: {attempts: 1}}
returns: "{{ steps.answer.text }}"
)";

Load load_of(const std::string& hash, std::size_t runs) {
  return {hash, runs, kSubmitInFlight, [](std::size_t i) { return fmt::format(R"({{"id":{}}})", i); },
          [](std::size_t, const std::string& output) { return output.starts_with("\"A"); }};
}

Status run(const Arguments& arguments) {
  const std::size_t streams = arguments.number("streams", 1000);
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  WEFT_TRY(Process source,
           Process::start({arguments.text("source"), std::to_string(streams), arguments.text("interval", "5000")}));
  WEFT_TRY(const std::string port, source.await("sse_source: port ", kOpenPatience));
  WEFT_TRY(MeasuredServer server, start_server(arguments, scratch.file("weft.db"),
                                               {fmt::format("WEFT_MODEL_URL=http://127.0.0.1:{}/v1", port)}));
  WEFT_TRY(const std::string hash, server.client->apply(kWorkflow));
  const double idle_mb = server.process.resident_mb();
  const double cpu_before = server.process.cpu_seconds();
  const auto begun = std::chrono::steady_clock::now();
  WEFT_TRY(const std::vector<std::string> runs, server.client->submit(load_of(hash, streams)));
  WEFT_TRY(const std::string all_open, source.await("sse_source: open", kOpenPatience));
  const double opened_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const double cpu_open = server.process.cpu_seconds() - cpu_before;
  std::this_thread::sleep_for(kSettle);
  const double open_mb = server.process.resident_mb();

  source.signal(SIGUSR1);
  for (const std::string& id : runs) {
    WEFT_TRY(const std::string output, server.client->wait(id));
    if (!output.starts_with("\"A")) return internal(fmt::format("run {} has the wrong output {}", id, output));
  }
  Json row = Json::object();
  row["engine"] = "weft streams";
  row["c"] = streams;
  row["idle_mb"] = std::round(idle_mb * 10) / 10;
  row["open_mb"] = std::round(open_mb * 10) / 10;
  row["above_idle_mb"] = std::round((open_mb - idle_mb) * 10) / 10;
  row["kb_per_stream"] = std::round((open_mb - idle_mb) * 1024 / static_cast<double>(streams) * 10) / 10;
  row["open_s"] = std::round(opened_s * 100) / 100;
  row["open_cpu_s"] = std::round(cpu_open * 100) / 100;
  row["peak_mb"] = server.process.resident_peak_mb();
  server.process.stop();
  return report(row, arguments);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
