#include "runtime/cli/render/json_view.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "runtime/cli/grammar/exit_code.h"
#include "runtime/cli/render/event_json.h"

namespace weft::cli {
namespace {

Result<std::shared_ptr<const std::string>> one_blob(const v1::Blob&) {
  return std::make_shared<const std::string>(R"({"long":true})");
}

}  // namespace

TEST_CASE("a run as JSON has the promised keys, in their order, and null for what is not known") {
  v1::Run run;
  run.set_id("01RUN");
  run.set_workflow("hello");
  run.set_status(v1::RUN_STATUS_FAILED);
  run.mutable_failure()->set_kind(v1::ERROR_KIND_MODEL_FAILED);
  run.mutable_failure()->set_message("no");
  run.set_submitted_at_us(1'000'000);
  run.set_ended_at_us(3'500'000);
  run.mutable_usage()->set_output(3);
  const auto json = run_json(run, one_blob);
  REQUIRE(json);
  CHECK(
      to_text(*json) ==
      R"({"run_id":"01RUN","workflow":"hello","status":"failed","output":null,)"
      R"("error":{"kind":"model_failed","message":"no","attempts":0,"path":""},)"
      R"("usage":{"input_hit":null,"input_miss":null,"input_write":null,"output":3,"reasoning":null,"estimated":false},)"
      R"("cost_usd":null,"cost_partial":false,"cache_hit_rate":null,"duration_ms":2500,"steps":0,"simulated":false,)"
      R"("doubts":[],"undos_failed":0})");
}

TEST_CASE("cost is a decimal string, the hit rate counts all input, and a long output comes from its blob") {
  v1::Run run;
  run.mutable_cost()->set_pico_usd(3'625);
  run.mutable_usage()->set_input_hit(3);
  run.mutable_usage()->set_input_miss(1);
  run.mutable_output_json()->mutable_blob()->set_size(13);
  const auto json = run_json(run, one_blob);
  REQUIRE(json);
  CHECK((*json)["cost_usd"] == "0.000000003625");
  CHECK((*json)["cache_hit_rate"] == 0.75);
  CHECK((*json)["output"]["long"] == true);
  CHECK((*json)["duration_ms"].is_null());
}

TEST_CASE("an event as JSON reads: contents as values, digests in hexadecimal, names in lower case") {
  v1::Event event;
  event.set_seq(7);
  event.set_at_us(1'234);
  event.set_digest(std::string("\x01\xff", 2));
  event.set_path("greet");
  auto& result = *event.mutable_step_ended()->mutable_result();
  result.set_status(v1::STEP_STATUS_SUCCEEDED);
  result.mutable_output_json()->set_inline_(R"({"b":1,"a":[2]})");
  result.mutable_text()->set_inline_("{not parsed");
  CHECK(to_text(event_json(event)) ==
        R"({"seq":7,"at_us":1234,"digest":"01ff","path":"greet","step_ended":{"result":{"status":"succeeded",)"
        R"("output_json":{"b":1,"a":[2]},"text":"{not parsed"}}})");
}

TEST_CASE("a long content is named by its hash, and bytes that are no text are hexadecimal") {
  v1::Event event;
  auto& started = *event.mutable_attempt_started();
  started.mutable_input()->mutable_blob()->set_sha256(std::string(2, '\xAB'));
  started.mutable_input()->mutable_blob()->set_size(70'000);
  CHECK(to_text(event_json(event)) == R"({"attempt_started":{"input":{"sha256":"abab","size":70000}}})");
  started.mutable_input()->set_inline_("\xff");
  CHECK(to_text(event_json(event)) == R"({"attempt_started":{"input":{"hex":"ff"}}})");
}

TEST_CASE("values are indented for people, numbers as they are written on one line") {
  const auto value = parse_untrusted(R"({"a":[1,{"b":2.0}],"c":[],"d":"x"})");
  REQUIRE(value);
  CHECK(pretty(*value) == "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"c\": [],\n  \"d\": \"x\"\n}");
}

TEST_CASE("every status of a run has a name that reads back") {
  for (int number = 1; v1::RunStatus_IsValid(number); ++number) {
    const auto status = static_cast<v1::RunStatus>(number);
    CHECK(status_named(status_name(status)) == status);
  }
  CHECK(status_name(v1::RUN_STATUS_IN_DOUBT) == "in_doubt");
  CHECK_FALSE(status_named("done"));
}

TEST_CASE("exit codes follow the status or the error, the gravest of several wins") {
  CHECK(exit_for(v1::RUN_STATUS_SUCCEEDED) == Exit::kOk);
  CHECK(exit_for(v1::RUN_STATUS_ABSTAINED) == Exit::kOk);
  CHECK(exit_for(v1::RUN_STATUS_LIMITED) == Exit::kLimited);
  CHECK(exit_for(v1::RUN_STATUS_FAILED) == Exit::kFailed);
  CHECK(exit_for(v1::RUN_STATUS_CANCELLED) == Exit::kCancelled);
  CHECK(exit_for(v1::RUN_STATUS_IN_DOUBT) == Exit::kWaits);
  CHECK(exit_for(not_found("")) == Exit::kNotFound);
  CHECK(exit_for(unavailable("")) == Exit::kUnreachable);
  CHECK(exit_for(invalid_argument("")) == Exit::kUsage);
  CHECK(exit_for(permission_denied("")) == Exit::kNotAllowed);
  CHECK(exit_for(internal("")) == Exit::kFailed);
  CHECK(graver(Exit::kFailed, Exit::kCancelled) == Exit::kCancelled);
  CHECK(graver(Exit::kOk, Exit::kFailed) == Exit::kFailed);
  CHECK(graver(Exit::kLimited, Exit::kNotFound) == Exit::kNotFound);
}

}  // namespace weft::cli
