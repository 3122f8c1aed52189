#include <httplib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/bytes.h"
#include "tests/sim/client.h"

namespace weft::sim {
namespace {

constexpr std::string_view kSlow = "{sim: 1, rules: [{reply: {text: slow, first_token: 1h}}]}";

// Asks and waits for the end of a response that only the server, or leaving, ends.
class Waiting {
 public:
  explicit Waiting(const Fixture& sim, Json body = streamed(chat("Go"))) : client_("127.0.0.1", sim.provider->port()) {
    client_.set_read_timeout(std::chrono::hours(1));
    thread_ =
        std::thread([this, text = to_text(body)] { client_.Post("/v1/chat/completions", text, "application/json"); });
  }
  ~Waiting() { leave(); }
  void leave() {
    client_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  httplib::Client client_;
  std::thread thread_;
};

struct TemporaryFile {
  std::string path =
      (std::filesystem::temp_directory_path() / ("weft-sim-" + std::to_string(getpid()) + ".log")).string();
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("over streams_max a request is refused with the limit's name, and served when a place is free") {
  Fixture sim(kSlow, {.streams_max = 2});
  Waiting one(sim), two(sim, chat("Go"));
  REQUIRE(sim.stats_reach([](const Json& stats) { return stats["streams"] == 2; }));
  Got got = sim.ask(chat("Go"));
  CHECK(got.status == 429);
  CHECK_THAT(got.body, Catch::Contains("streams_max is 2"));
  one.leave();
  CHECK(sim.stats_reach([](const Json& stats) { return stats["streams"] == 1; }));
  Waiting three(sim);
  CHECK(sim.stats_reach([](const Json& stats) { return stats["streams"] == 2; }));
  CHECK(sim.get("/stats").json()["max_in_flight"] == 2);
}

TEST_CASE("a script's streams_max wins over the option") {
  Fixture sim("{sim: 1, streams_max: 1, rules: [{reply: {text: slow, first_token: 1h}}]}", {.streams_max = 5});
  Waiting one(sim);
  REQUIRE(sim.stats_reach([](const Json& stats) { return stats["streams"] == 1; }));
  CHECK(sim.ask(chat("Go")).status == 429);
}

TEST_CASE("the place is free when the client has read the last line") {
  Fixture sim("{sim: 1, rules: [{reply: {text: fast}}]}", {.streams_max = 1});
  for (int i = 0; i < 50; ++i) {
    CHECK(sim.ask(streamed(chat("Go"))).status == 200);
    CHECK(sim.ask(chat("Go")).status == 200);
  }
}

TEST_CASE("a provider ends promptly with slow streams and idle connections") {
  auto sim = std::make_unique<Fixture>(kSlow);
  std::vector<std::unique_ptr<Waiting>> waiting;
  for (int i = 0; i < 20; ++i)
    waiting.push_back(std::make_unique<Waiting>(*sim, i % 2 == 0 ? chat("a") : streamed(chat("b"))));
  httplib::Client idle("127.0.0.1", sim->provider->port());
  idle.set_keep_alive(true);
  REQUIRE(idle.Get("/health"));
  REQUIRE(sim->stats_reach([](const Json& stats) { return stats["streams"] == 20; }));
  auto from = std::chrono::steady_clock::now();
  sim->provider.reset();
  CHECK(std::chrono::steady_clock::now() - from < std::chrono::seconds(1));
}

TEST_CASE("connections are kept and serve one request after another") {
  Fixture sim;
  httplib::Client client("127.0.0.1", sim.provider->port());
  client.set_keep_alive(true);
  client.set_tcp_nodelay(true);
  for (int i = 0; i < 20; ++i) {
    auto response = client.Post("/v1/chat/completions", to_text(streamed(chat("Go"))), "application/json");
    REQUIRE(response);
    CHECK(response->body.ends_with("data: [DONE]\n\n"));
    CHECK(response->get_header_value("Connection") != "close");
  }
}

TEST_CASE("two hundred streams at once have a thread each, and each place comes back") {
  Fixture sim(kSlow);
  std::vector<std::unique_ptr<Waiting>> waiting;
  for (int i = 0; i < 200; ++i) waiting.push_back(std::make_unique<Waiting>(sim));
  CHECK(sim.stats_reach([](const Json& stats) { return stats["streams"] == 200; }));
  waiting.clear();
  CHECK(sim.stats_reach([](const Json& stats) { return stats["streams"] == 0; }));
}

TEST_CASE("a port that is taken and a log that cannot be opened are errors that name them") {
  Fixture sim;
  auto second = Provider::start(Script::echo(), {.port = sim.provider->port()});
  REQUIRE_FALSE(second);
  CHECK_THAT(second.error().message, Catch::Contains(std::to_string(sim.provider->port())));
  auto third = Provider::start(Script::echo(), {.log_path = "/nowhere/at/all.log"});
  REQUIRE_FALSE(third);
  CHECK_THAT(third.error().message, Catch::Contains("/nowhere/at/all.log"));
  CHECK(sim.provider->base_url() == "http://127.0.0.1:" + std::to_string(sim.provider->port()) + "/v1");
}

TEST_CASE("the log says what came and what was answered") {
  TemporaryFile file;
  Fixture sim("{sim: 1, rules: [{name: polite, when: {last: Hi}, reply: {text: Hello}}]}", {.log_path = file.path});
  Ask ask;
  ask.body = to_text(chat("Hi"));
  sim.ask(ask);
  sim.ask(chat("Nothing fits"));
  std::ifstream in(file.path);
  std::string first, second;
  REQUIRE(std::getline(in, first));
  REQUIRE(std::getline(in, second));
  Json line = *parse_untrusted(first);
  CHECK(line["n"] == 1);
  CHECK(line["rule"] == "polite");
  CHECK(line["status"] == 200);
  CHECK(line["end"] == "done");
  CHECK(line["bytes"] == ask.body.size());
  CHECK(line["sha256"] == to_hex(view(sha256(ask.body))));
  CHECK(line["out"] == 2);
  CHECK(line["miss"].get<int>() > 0);
  CHECK((*parse_untrusted(second))["status"] == 400);
}

TEST_CASE("a body over body_bytes_max is refused with the limit's name") {
  Fixture sim;
  Ask ask;
  ask.body = std::string((std::size_t{64} << 20) + 1, ' ');
  Got got = sim.ask(ask);
  CHECK(got.status == 413);
  CHECK_THAT(got.body, Catch::Contains("body_bytes_max"));
}

TEST_CASE("a prompt of four megabytes and an answer of 384,000 tokens go through") {
  Fixture sim("{sim: 1, rules: [{reply: {text: '{{ user }}'}}]}");
  std::string text(4'000'000, 'a');
  std::size_t bytes = 0;
  Ask ask;
  Json body = streamed(chat(text));
  body["max_tokens"] = 384'000;
  ask.body = to_text(body);
  Got got = sim.ask(ask);
  CHECK(got.whole);
  CHECK(got.body.ends_with("data: [DONE]\n\n"));
  CHECK_THAT(got.body.substr(got.body.size() - 2'000), Catch::Contains("\"completion_tokens\":384000"));
  bytes = got.body.size();
  CHECK(bytes > 384'000 * 100);
}

}  // namespace weft::sim
