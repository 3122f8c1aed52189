// Servers that repeat every secret they are sent, in every field and writing: none of it is stored, shown or sent back.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "fixture.h"
#include "memory/journal/sqlite_store.h"
#include "shop_flow.h"
#include "tests/base/writings.h"
#include "tests/folder.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;
using test::RawConnection;
using test::RawServer;

namespace {

const std::string kKey = "sk-proj/Abc+123=XYZ";
const std::string kToken = "shop/\"tok\\en\" 9x+7";

std::string all_writings(const std::string& value) {
  std::string all;
  for (const std::string& writing : test::writings(value)) all += writing + " | ";
  return all;
}

// A model that says nothing but the key that it was sent.
class EchoingModel {
 public:
  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1", server_.port()); }
  std::string requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  static std::string delta(const Json& delta) {
    return "data: " +
           to_text(Json{
               {"id", "c"}, {"model", "echo-" + kKey}, {"choices", Json::array({{{"index", 0}, {"delta", delta}}})}}) +
           "\n\n";
  }
  static std::string end(const char* why) {
    return "data: " +
           to_text(Json{{"model", "echo-" + kKey},
                        {"choices", Json::array({{{"index", 0}, {"delta", Json::object()}, {"finish_reason", why}}})},
                        {"usage", {{"prompt_tokens", 10}, {"completion_tokens", 5}}}}) +
           "\n\ndata: [DONE]\n\n";
  }
  void talk(RawConnection& connection) {
    for (std::string text = connection.request(); !text.empty(); text = connection.request()) {
      const std::string body = text.substr(text.find("\r\n\r\n") + 4);
      {
        const std::lock_guard lock(mutex_);
        requests_ += body + "\n";
      }
      std::string status = "200 OK";
      std::string said;
      if (body.contains("REFUSE")) {
        status = "401 Unauthorized";
        said = to_text(
            Json{{"error",
                  {{"message", "Incorrect API key provided: " + kKey + ". " + all_writings(kKey)}, {"code", kKey}}}});
      } else if (body.contains("\"role\":\"tool\"")) {
        said = delta({{"content", "done with " + all_writings(kKey)}}) + end("stop");
      } else {
        said = delta({{"reasoning_content", "my key is " + kKey.substr(0, 7)}}) +
               delta({{"reasoning_content", kKey.substr(7) + " or " + all_writings(kKey)}});
        // In pieces of three bytes: each secret is cut somewhere.
        const std::string content = all_writings(kKey) + all_writings(kToken);
        for (std::size_t at = 0; at < content.size();) {
          std::size_t size = std::min<std::size_t>(3, content.size() - at);
          while (at + size < content.size() && (static_cast<unsigned char>(content[at + size]) & 0xC0) == 0x80) ++size;
          said += delta({{"content", content.substr(at, size)}});
          at += size;
        }
        const Json arguments = {{"q", "key " + kKey}, {"all", all_writings(kKey)}};
        const Json function = {{"name", "look"}, {"arguments", to_text(arguments)}};
        said += delta({{"tool_calls", Json::array({{{"index", 0}, {"id", "id-" + kKey}, {"function", function}}})}}) +
                end("tool_calls");
      }
      connection.send(fmt::format("HTTP/1.1 {}\r\nX-Request-Id: req-{}\r\nContent-Length: {}\r\n\r\n{}", status, kKey,
                                  said.size(), said));
    }
  }

  mutable std::mutex mutex_;
  std::string requests_;  // Guarded by mutex_.
  RawServer server_{[this](RawConnection& connection, int) { talk(connection); }};
};

struct Listener final : Watcher {
  std::mutex mutex;
  std::string shown;
  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run>) override {}
  void on_rest() override {}
  void on_progress(const v1::Progress& progress) override {
    const std::lock_guard lock(mutex);
    shown += progress.text() + progress.reasoning();
  }
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_no_trace(const std::string& bytes, const std::string& where) {
  for (const std::string& secret : {kKey, kToken}) {
    for (const std::string& trace : test::traces_of(secret)) {
      CAPTURE(where, secret, trace);
      CHECK_FALSE(bytes.contains(trace));
    }
  }
}

constexpr const char* kTools = R"(
  look:
    effect: read
    input: {q: string, all: string?}
    http: {get: "SHOP/look?q={{ args.q }}", bearer: SHOP_TOKEN}
  deny: {effect: read, http: {get: "SHOP/deny", bearer: SHOP_TOKEN}}
)";

}  // namespace

TEST_CASE("secrets that servers repeat in every field and writing are neither stored, shown nor sent back") {
  Shop shop([](const Shop::Request& request) {
    const std::string token = request.header("Authorization");
    Json body = {{"you", token}, {"all", all_writings(kToken)}, {all_writings(kToken), 1}, {"key", all_writings(kKey)}};
    return Shop::Answer{request.path == "/deny" ? 422 : 200, test::slashes(to_text(body))};
  });
  EchoingModel model;
  const Folder folder;
  const std::string store = folder / "weft.db";
  std::string said;
  {
    World world;
    world.on(memory::open_sqlite({.path = store}).value());
    world.way = World::Way::kProvider;
    world.simulated = false;
    model::Provider echo;
    echo.name = "echo";
    echo.base_url = model.url();
    echo.key_env = "ECHO_KEY";
    world.config.catalog.put(std::move(echo));
    world.variables = {{"ECHO_KEY", kKey}, {"SHOP_TOKEN", kToken}};
    world.secrets = {"SHOP_TOKEN"};
    world.start();
    const auto run = [&](const std::string& steps) {
      world.apply(flow(shop, kTools, steps));
      const std::string id = world.submit("tools");
      const auto listener = std::make_shared<Listener>();
      REQUIRE(world.engine().watch(id, listener));
      const v1::Run ended = world.wait(id);
      said += ended.ShortDebugString();
      for (const v1::Event& event : world.events(id)) said += event.SerializeAsString();
      const std::lock_guard lock(listener->mutex);
      said += listener->shown;
      return ended;
    };
    const v1::Run agent = run("  go: {prompt: Say it, model: echo/m, tools: [look]}\n");
    CHECK(agent.status() == v1::RUN_STATUS_SUCCEEDED);
    CHECK(agent.model_calls() == 2);
    CHECK(agent.tool_calls() == 1);
    CHECK(run("  go: {tool: look, args: {q: a}}\n").status() == v1::RUN_STATUS_SUCCEEDED);
    const v1::Run denied = run("  go: {tool: deny}\n");
    CHECK(denied.status() == v1::RUN_STATUS_FAILED);
    CHECK_THAT(denied.failure().message(), Catch::Contains("[secret SHOP_TOKEN]"));
    const v1::Run refused = run("  go: {prompt: REFUSE, model: echo/m}\n");
    CHECK(refused.status() == v1::RUN_STATUS_FAILED);
    CHECK_THAT(refused.failure().message(), Catch::Contains("Incorrect API key provided: [secret ECHO_KEY]."));
    world.stop();
  }
  CHECK_THAT(said, Catch::Contains("[secret ECHO_KEY]"));
  check_no_trace(said, "what was said");
  check_no_trace(model.requests(), "what the model was asked");
  check_no_trace(content(store), "the store");
  check_no_trace(content(store + "-wal"), "the WAL");
  CHECK(content(store).size() + content(store + "-wal").size() > 10'000);
  for (const Shop::Request& request : shop.requests()) {
    CHECK(request.header("Authorization") == "Bearer " + kToken);
    check_no_trace(request.path, "what the shop was asked");
  }
}
