// The floor of W2: the same two model calls as a bare loop makes them, with one row of bare SQLite kept before each
// call and one at the end, as weft keeps them. A thread and a connection for each run in flight; no engine, no server,
// no HTTP library, answers are searched and not parsed. What it takes more than the model's waits is what this machine
// takes to wake up, to sync and to move bytes.
//
// loop_floor --scratch FOLDER --model PROGRAM --latency MS --in-flight N --runs N [--results FILE]
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/json.h"
#include "bench/arguments.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/scratch.h"
#include "bench/step_table.h"

namespace weft::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kModelPatience{10};
constexpr int kModelCalls = 2;
constexpr std::string_view kBegin =
    R"({"model":"fake","stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":)"
    R"({"name":"add","description":"add two numbers","parameters":{"type":"object"}}}],"messages":[{"role":"system",)"
    R"("content":"You are a calculator."},{"role":"user","content":"What is 2+3?"})";

class Connection {
 public:
  explicit Connection(std::uint16_t port) : file_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open_ = ::connect(file_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int on = 1;
    ::setsockopt(file_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(file_); }

  // The whole answer, head included; empty where the connection broke.
  std::string ask(std::size_t latency_ms, std::string_view body) {
    const std::string request = fmt::format("POST /lat/{}/v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n{}",
                                            latency_ms, body.size(), body);
    if (!open_ || ::send(file_, request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
    std::string answer;
    while (answer.find("data: [DONE]\n\n") == std::string::npos) {
      char buffer[4096];
      const ssize_t got = ::read(file_, buffer, sizeof buffer);
      if (got <= 0) return "";
      answer.append(buffer, static_cast<std::size_t>(got));
    }
    return answer;
  }

 private:
  int file_;
  bool open_ = false;
};

class Loop {
 public:
  Loop(std::uint16_t port, std::size_t latency_ms, std::size_t runs)
      : port_(port), latency_ms_(latency_ms), latencies_ms_(runs) {}

  Status open(const std::string& path) { return table_.open(path, "FULL"); }

  // False: a run went wrong.
  bool drive(std::size_t in_flight) {
    const auto begun = SteadyClock::now();
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < in_flight; ++i) {
      // Spread over the two waits, as w2 does.
      const double after_ms = static_cast<double>(kModelCalls * latency_ms_ * i) / static_cast<double>(in_flight);
      std::this_thread::sleep_until(begun + std::chrono::duration<double, std::milli>(after_ms));
      threads.emplace_back([this] { work(); });
    }
    threads.clear();
    return !failed_;
  }
  const std::vector<double>& latencies_ms() const { return latencies_ms_; }

 private:
  void work() {
    Connection connection(port_);
    for (std::size_t i = next_++; i < latencies_ms_.size() && !failed_; i = next_++) {
      const auto begun = SteadyClock::now();
      if (!run(connection, "r" + std::to_string(i))) failed_ = true;
      latencies_ms_[i] = std::chrono::duration<double, std::milli>(SteadyClock::now() - begun).count() -
                         static_cast<double>(kModelCalls * latency_ms_);
    }
  }

  bool run(Connection& connection, const std::string& id) {
    std::string body(kBegin);
    keep(id, 0, body);
    const std::string first = connection.ask(latency_ms_, body + "]}");
    constexpr std::string_view kCall = R"("id":"call_)";
    const std::size_t at = first.find(kCall);
    if (at == std::string::npos) return false;
    const std::string call = first.substr(at + 6, first.find('"', at + 6) - at - 6);
    body += fmt::format(
        R"(,{{"role":"assistant","content":"","tool_calls":[{{"id":"{0}","type":"function","function":{{"name":"add",)"
        R"("arguments":"{{\"a\":2,\"b\":3}}"}}}}]}},{{"role":"tool","tool_call_id":"{0}","content":"5"}})",
        call);
    keep(id, 1, body);
    const std::string second = connection.ask(latency_ms_, body + "]}");
    keep(id, 2, second);
    return second.find("answer") != std::string::npos;
  }

  void keep(const std::string& id, std::int64_t step, const std::string& out) {
    const std::lock_guard lock(mutex_);
    if (!table_.keep(id, step, out)) failed_ = true;
  }

  const std::uint16_t port_;
  const std::size_t latency_ms_;
  std::vector<double> latencies_ms_;  // Each element is its run's.
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  StepTable table_;  // Guarded by mutex_.
};

Status run(const Arguments& arguments) {
  const std::size_t latency_ms = arguments.number("latency", 50);
  const std::size_t in_flight = arguments.number("in-flight", 64);
  const std::size_t runs = arguments.number("runs", 500);
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  WEFT_TRY(Process model, Process::start({arguments.text("model")}));
  WEFT_TRY(const std::string port_text, model.await("agent_model: port ", kModelPatience));
  std::uint16_t port = 0;
  std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  Loop loop(port, latency_ms, runs);
  WEFT_RETURN_IF_ERROR(loop.open(scratch.file("floor.db")));
  if (!loop.drive(in_flight)) return internal("a run of the bare loop had no right end");
  const auto rounded = [](double value) { return std::round(value * 1000) / 1000; };
  Json row = Json::object();
  row["engine"] = "floor: bare loop";
  row["variant"] = "FULL";
  row["latMs"] = latency_ms;
  row["n"] = runs;
  row["c"] = in_flight;
  row["p50"] = rounded(percentile(loop.latencies_ms(), 50));
  row["p99"] = rounded(percentile(loop.latencies_ms(), 99));
  row["p50_per_call"] = rounded(row["p50"].get<double>() / kModelCalls);
  row["p99_per_call"] = rounded(row["p99"].get<double>() / kModelCalls);
  return report(row, arguments);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
