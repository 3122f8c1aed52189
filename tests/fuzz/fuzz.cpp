// One fuzz target for all that takes foreign bytes: the first byte says which. Built by `./dev nightly` with clang's
// libFuzzer; whatever comes in, nothing crashes, hangs or grows without bound.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"
#include "runtime/model/openai_decoder.h"
#include "sim/script.h"
#include "workflows/expression/expression.h"
#include "workflows/loader.h"
#include "workflows/yaml.h"

namespace {

using namespace weft;

void load_workflow(std::string_view text) {
  const workflows::Loaded loaded = workflows::load({"fuzz.yaml", std::string(text), {}}, {});
  if (!loaded.workflow) return;
  // What loads can be emitted, and is then the same workflow.
  const workflows::Loaded again = workflows::load({"fuzz.yaml", loaded.workflow->canonical, {}}, {});
  if (!again.workflow || again.workflow->hash != loaded.workflow->hash) __builtin_trap();
}

void read_json(std::string_view text) {
  const auto value = parse_untrusted(text);
  if (!value) return;
  const auto again = parse_untrusted(to_text(*value));
  if (!again || to_text(*again) != to_text(*value)) __builtin_trap();
}

void decode(std::string_view text) {
  model::OpenAiDecoder decoder([](model::Stream, std::string_view) {});
  HttpHead head;
  head.status = text.size() % 3 == 0 ? 500 : 200;
  if (text.size() % 2 == 0) head.headers.emplace_back("content-type", "text/event-stream");
  decoder.head(head);
  for (std::size_t at = 0; at < text.size() && !decoder.settled(); at += 7) decoder.bytes(text.substr(at, 7));
  HttpEnd end;
  end.ok = text.size() % 5 != 0;
  decoder.finish(end);
}

void read_expression(std::string_view text) {
  workflows::Diagnostics diagnostics("fuzz");
  workflows::Expression::parse(text, {}, diagnostics);
}

void read_script(std::string_view text) {
  workflows::Diagnostics diagnostics("fuzz");
  sim::Script::read(text, diagnostics);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0] % 5) {
    case 0: load_workflow(text); break;
    case 1: read_json(text); break;
    case 2: decode(text); break;
    case 3: read_expression(text); break;
    default: read_script(text);
  }
  return 0;
}
