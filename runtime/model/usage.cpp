#include "runtime/model/usage.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::model {
namespace {

using Count = std::optional<std::uint64_t>;

// More than any model can count in a call, and small enough that a price times it fits.
constexpr std::int64_t kCountMax = 1'000'000'000;

Count count(const Json* object, const char* name) {
  if (object == nullptr || !object->is_object()) return {};
  const auto found = object->find(name);
  if (found == object->end()) return {};
  std::int64_t value = -1;
  if (found->is_number_integer()) {
    value = found->get<std::int64_t>();
  } else if (found->is_number_float() && found->get<double>() >= 0 && found->get<double>() <= kCountMax) {
    value = static_cast<std::int64_t>(found->get<double>());
  }
  if (value < 0 || value > kCountMax) return {};
  return static_cast<std::uint64_t>(value);
}

const Json* member(const Json* object, const char* name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto found = object->find(name);
  return found == object->end() ? nullptr : &*found;
}

Count first(Count a, Count b) { return a ? a : b; }

}  // namespace

Usage read_usage(const Json* usage, const Json* timings) {
  const Json* const input_details = member(usage, "prompt_tokens_details");
  const Count prompt = count(usage, "prompt_tokens");
  const Count cache_n = count(timings, "cache_n");
  const Count hit =
      first(first(count(usage, "prompt_cache_hit_tokens"), count(input_details, "cached_tokens")), cache_n);
  const Count write = count(input_details, "cache_write_tokens");

  Usage out;
  if (prompt) {
    std::uint64_t rest = *prompt;
    if (hit) out.input_hit = std::min(*hit, rest);
    rest -= out.input_hit.value_or(0);
    if (write) out.input_write = std::min(*write, rest);
    rest -= out.input_write.value_or(0);
    out.input_miss = rest;
  } else {
    out.input_hit = hit;
    out.input_write = write;
    out.input_miss = first(count(usage, "prompt_cache_miss_tokens"), count(timings, "prompt_n"));
  }
  const Count completion = first(count(usage, "completion_tokens"), count(timings, "predicted_n"));
  out.reasoning = count(member(usage, "completion_tokens_details"), "reasoning_tokens");
  out.output = completion;
  // A few servers count reasoning beside the completion instead of in it, which shows where it is the larger.
  if (completion && out.reasoning && *out.reasoning <= *completion) out.output = *completion - *out.reasoning;
  return out;
}

}  // namespace weft::model
