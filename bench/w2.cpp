// W2, the agent loop: a model turn that asks for a tool, the tool, and a model turn that answers, over gRPC, closed
// loop.
//
// w2 --server PROGRAM --scratch FOLDER --model SCRIPT --latency MS --in-flight N --runs N [--results FILE]
//
// The model is peers/common/fake-llm.mjs in a process of its own, streaming, which waits --latency before it answers.
// p50 and p99 are a run's latency without the two waits of its model as they were asked for; model_late_ms says by how
// much more the model really waited, a call, on average. --store FILE: the store, kept.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/measured_server.h"
#include "bench/scratch.h"

namespace weft::bench {
namespace {

constexpr std::chrono::seconds kModelPatience{10};
constexpr std::size_t kWarmUpRuns = 100;
constexpr int kModelCalls = 2;

constexpr const char* kWorkflow = R"(weft: 1
name: w2
steps:
  answer:
    system: You are a calculator.
    tools: [bench.add, bench.mul]
    prompt: What is 2+3?
returns: "{{ steps.answer.text }}"
)";

Load load_of(const std::string& hash, std::size_t runs, std::size_t in_flight) {
  return {hash, runs, in_flight, [](std::size_t) { return "{}"; },
          [](std::size_t, const std::string& output) { return output.find("answer is 5") != std::string::npos; }};
}

Status run(const Arguments& arguments) {
  const std::size_t latency_ms = arguments.number("latency", 50);
  const std::size_t runs = arguments.number("runs", 500);
  const std::size_t in_flight = arguments.number("in-flight", 64);
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  WEFT_TRY(Process model, Process::start({"node", arguments.text("model"), "0"}));
  WEFT_TRY(const std::string port, model.await("fake-llm on ", kModelPatience));
  WEFT_TRY(MeasuredServer server,
           start_server(arguments, arguments.text("store", scratch.file("weft.db")),
                        {fmt::format("WEFT_MODEL_URL=http://127.0.0.1:{}/lat/{}/v1", port, latency_ms)}));
  WEFT_TRY(const std::string hash, server.client->apply(kWorkflow));
  WEFT_TRY(const Loaded warm, server.client->drive(load_of(hash, kWarmUpRuns, in_flight)));
  model.signal(SIGUSR2);
  WEFT_TRY(const std::string before, model.await("fake-llm late ", kModelPatience));
  const double model_cpu = model.cpu_seconds();
  WEFT_TRY(Json row, measure(server, load_of(hash, runs, in_flight), static_cast<double>(kModelCalls * latency_ms)));

  model.signal(SIGUSR2);
  WEFT_TRY(const std::string late, model.await("fake-llm late ", kModelPatience));
  const double late_ms = std::strtod(late.c_str(), nullptr);

  Json whole = Json::object();
  whole["engine"] = "weft W2";
  whole["variant"] = arguments.text("preload").empty() ? "FULL" : "FULL, sync + 2 ms";
  whole["latMs"] = latency_ms;
  whole.update(row);
  whole["p50_per_call"] = row["p50"].get<double>() / kModelCalls;
  whole["p99_per_call"] = row["p99"].get<double>() / kModelCalls;
  whole["model_late_ms"] = late_ms;
  whole["model_cpu_s"] = model.cpu_seconds() - model_cpu;
  server.process.stop();
  const std::string line = to_text(whole);
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
