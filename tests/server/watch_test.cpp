#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "runtime/server/server.h"
#include "runtime/server/status.h"
#include "tests/server/fake_api.h"
#include "tests/server/serving.h"
#include "weft/v1/runs.grpc.pb.h"

namespace weft::server {
namespace {

using namespace std::chrono_literals;

// A server over a fake engine with one run, and a client of it.
struct Bench {
  explicit Bench(Duration watch_stall_max = kWatchStallMax) {
    api.add_run("run-1");
    place.options.watch_stall_max = watch_stall_max;
    server = started(api, place.options);
    runs = v1::Runs::NewStub(channel_to(*server));
  }

  FakeApi api;
  ServerPlace place;
  std::unique_ptr<Server> server;
  std::unique_ptr<v1::Runs::Stub> runs;
};

struct Watching {
  Watching(Bench& bench, std::uint64_t from_seq, bool progress = false) {
    v1::RunsWatchRequest request;
    request.set_run_id("run-1");
    request.set_from_seq(from_seq);
    request.set_progress(progress);
    reader = bench.runs->Watch(&context, request);
  }
  v1::RunsWatchResponse next() {
    v1::RunsWatchResponse message;
    REQUIRE(reader->Read(&message));
    return message;
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::RunsWatchResponse>> reader;
};

v1::Progress said(const std::string& text, std::uint32_t turn = 1) {
  v1::Progress progress;
  progress.set_path("greet");
  progress.set_attempt(1);
  progress.set_turn(turn);
  progress.set_text(text);
  return progress;
}

}  // namespace

TEST_CASE("a watch sends what is stored, then what happens, then how the run ended") {
  Bench bench;
  bench.api.append("run-1");
  bench.api.append("run-1");
  Watching watching(bench, 0);
  CHECK(watching.next().event().seq() == 1);
  CHECK(watching.next().event().seq() == 2);
  bench.api.append("run-1");
  CHECK(watching.next().event().seq() == 3);
  bench.api.end("run-1");
  CHECK(watching.next().event().has_run_ended());
  const auto last = watching.next();
  REQUIRE(last.has_ended());
  CHECK(last.ended().status() == v1::RUN_STATUS_SUCCEEDED);
  v1::RunsWatchResponse more;
  CHECK_FALSE(watching.reader->Read(&more));
  CHECK(watching.reader->Finish().ok());
  bench.api.wait_for_watchers("run-1", 0);
}

TEST_CASE("a watch starts at any sequence number, also of a run that has ended") {
  Bench bench;
  for (int i = 0; i < 4; ++i) bench.api.append("run-1");
  bench.api.end("run-1");
  {
    Watching watching(bench, 5);
    CHECK(watching.next().event().seq() == 5);
    CHECK(watching.next().has_ended());
    CHECK(watching.reader->Finish().ok());
  }
  Watching beyond(bench, 99);
  CHECK(beyond.next().has_ended());
  CHECK(beyond.reader->Finish().ok());
}

TEST_CASE("a long run arrives whole and in order, over many pages") {
  Bench bench;
  constexpr std::uint64_t kEvents = 300;
  for (std::uint64_t i = 1; i < kEvents; ++i) bench.api.append("run-1", 20'000);
  bench.api.end("run-1");
  Watching watching(bench, 1);
  for (std::uint64_t seq = 1; seq <= kEvents; ++seq) REQUIRE(watching.next().event().seq() == seq);
  CHECK(watching.next().has_ended());
}

TEST_CASE("progress comes beside the events where it is asked for, and is dropped when its turn has ended") {
  Bench bench;
  bench.api.append("run-1");
  Watching watching(bench, 0, true);
  Watching without(bench, 0);
  CHECK(watching.next().event().seq() == 1);
  bench.api.progress("run-1", said("Hel"));
  CHECK(watching.next().progress().text() == "Hel");
  v1::Event ended;
  ended.set_path("greet");
  ended.set_attempt(1);
  ended.set_turn(1);
  ended.mutable_model_call_ended()->mutable_text()->set_inline_("Hello");
  bench.api.append("run-1", ended);
  bench.api.end("run-1");
  CHECK(watching.next().event().has_model_call_ended());
  CHECK(watching.next().event().has_run_ended());
  CHECK(watching.next().has_ended());

  CHECK(without.next().event().seq() == 1);
  CHECK(without.next().event().seq() == 2);
  CHECK(without.next().event().seq() == 3);
  CHECK(without.next().has_ended());
}

TEST_CASE("a client that does not read is cut off with the position to go on from, and the run is not slowed") {
  Bench bench(1s);
  constexpr std::size_t kEvents = 400;
  Watching watching(bench, 1);
  for (std::size_t i = 0; i < kEvents; ++i) bench.api.append("run-1", 256 << 10);
  // Longer than the server waits for a reader, shorter than it waits until it drops the connection's stream.
  std::this_thread::sleep_for(1500ms);
  std::uint64_t last = 0;
  for (v1::RunsWatchResponse message; watching.reader->Read(&message);) {
    REQUIRE(message.event().seq() == last + 1);
    last = message.event().seq();
  }
  const grpc::Status status = watching.reader->Finish();
  INFO(status.error_message());
  CHECK(last < kEvents);
  REQUIRE(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto& metadata = watching.context.GetServerTrailingMetadata();
  const auto next = metadata.find("next_seq");
  REQUIRE(next != metadata.end());
  CHECK(std::string(next->second.data(), next->second.size()) == std::to_string(last + 1));
  bench.api.wait_for_watchers("run-1", 0);
}

TEST_CASE("a client that never reads again is let go of altogether") {
  Bench bench(50ms);
  Watching watching(bench, 1);
  for (int i = 0; i < 200; ++i) bench.api.append("run-1", 256 << 10);
  bench.api.wait_for_watchers("run-1", 0);
}

TEST_CASE("a watch that its client gives up is forgotten") {
  Bench bench;
  Watching watching(bench, 0);
  bench.api.append("run-1");
  CHECK(watching.next().event().seq() == 1);
  bench.api.wait_for_watchers("run-1", 1);
  watching.context.TryCancel();
  bench.api.wait_for_watchers("run-1", 0);
}

TEST_CASE("a watch of a run that is not there is NOT_FOUND") {
  Bench bench;
  v1::RunsWatchRequest request;
  request.set_run_id("nope");
  grpc::ClientContext context;
  auto reader = bench.runs->Watch(&context, request);
  v1::RunsWatchResponse message;
  CHECK_FALSE(reader->Read(&message));
  CHECK(reader->Finish().error_code() == grpc::StatusCode::NOT_FOUND);
}

TEST_CASE("a server that stops ends its watches and waits, with the position to go on from") {
  Bench bench;
  bench.api.append("run-1");
  Watching watching(bench, 0);
  CHECK(watching.next().event().seq() == 1);
  auto waited = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    v1::RunsWaitRequest request;
    request.set_run_id("run-1");
    v1::RunsWaitResponse response;
    return bench.runs->Wait(&context, request, &response).error_code();
  });
  bench.api.wait_for_watchers("run-1", 2);
  bench.server->stop(5s);
  v1::RunsWatchResponse message;
  CHECK_FALSE(watching.reader->Read(&message));
  const Error error = from_grpc(watching.reader->Finish());
  CHECK(error.code == Code::kUnavailable);
  CHECK(error.details == std::vector<Detail>{{"next_seq", "2"}});
  CHECK(waited.get() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a server that stops right behind a run's end still tells it to who follows") {
  Bench bench;
  std::vector<std::future<grpc::Status>> waits;
  for (int i = 0; i < 20; ++i) {
    waits.push_back(std::async(std::launch::async, [&] {
      grpc::ClientContext context;
      v1::RunsWaitRequest request;
      request.set_run_id("run-1");
      v1::RunsWaitResponse response;
      return bench.runs->Wait(&context, request, &response);
    }));
  }
  Watching watching(bench, 0);
  bench.api.wait_for_watchers("run-1", 21);
  constexpr std::uint64_t kEvents = 300;
  for (std::uint64_t i = 1; i < kEvents; ++i) bench.api.append("run-1", 100'000);
  bench.api.end("run-1");
  const std::jthread stopping([&] { bench.server->stop(10s); });
  std::this_thread::sleep_for(50ms);  // Until it has begun to stop; nothing depends on it.
  for (std::uint64_t seq = 1; seq <= kEvents; ++seq) CHECK(watching.next().event().seq() == seq);
  CHECK(watching.next().has_ended());
  CHECK(watching.reader->Finish().ok());
  for (auto& wait : waits) CHECK(wait.get().ok());
}

TEST_CASE("a wait answers when the run has ended") {
  Bench bench;
  auto waited = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    v1::RunsWaitRequest request;
    request.set_run_id("run-1");
    v1::RunsWaitResponse response;
    REQUIRE(bench.runs->Wait(&context, request, &response).ok());
    return response.run().status();
  });
  bench.api.wait_for_watchers("run-1", 1);
  bench.api.append("run-1");
  bench.api.end("run-1", v1::RUN_STATUS_FAILED);
  CHECK(waited.get() == v1::RUN_STATUS_FAILED);
  CHECK(bench.api.reads() == 0);  // It is told how the run ended: reading it would cost more than the run's last step.
}

TEST_CASE("a wait answers when the run waits for somebody") {
  Bench bench;
  bench.api.set_status("run-1", v1::RUN_STATUS_IN_DOUBT);
  grpc::ClientContext context;
  v1::RunsWaitRequest request;
  request.set_run_id("run-1");
  v1::RunsWaitResponse response;
  REQUIRE(bench.runs->Wait(&context, request, &response).ok());
  CHECK(response.run().status() == v1::RUN_STATUS_IN_DOUBT);
}

TEST_CASE("a wait whose time is over answers with the run as it is, before the call's deadline") {
  Bench bench;
  v1::RunsWaitRequest request;
  request.set_run_id("run-1");
  v1::RunsWaitResponse response;
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 1s);
    REQUIRE(bench.runs->Wait(&context, request, &response).ok());
    CHECK(response.run().status() == v1::RUN_STATUS_RUNNING);
  }
  request.set_timeout_ms(10);
  grpc::ClientContext context;
  REQUIRE(bench.runs->Wait(&context, request, &response).ok());
  CHECK(response.run().status() == v1::RUN_STATUS_RUNNING);
}

}  // namespace weft::server
