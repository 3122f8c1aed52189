#include "runtime/run/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/run/state.h"

namespace weft::run {

Duration backoff(const workflows::Retry& retry, std::uint32_t used, std::string_view seed) {
  constexpr std::uint32_t kDoublingsMax = 20;
  std::int64_t wait = retry.backoff_min.count();
  for (std::uint32_t i = 1; i < std::min(used, kDoublingsMax) && wait < retry.backoff_max.count(); ++i) wait *= 2;
  wait = std::min(wait, retry.backoff_max.count());
  if (wait < 2) return Duration(wait);
  const std::uint64_t jitter = hash64(fmt::format("{}~{}", seed, used)) % static_cast<std::uint64_t>(wait / 2);
  return Duration(wait - static_cast<std::int64_t>(jitter));
}

bool retries(const workflows::Retry& retry, v1::ErrorKind kind) {
  switch (kind) {
    case v1::ERROR_KIND_IN_DOUBT:    // Whether it was done is not known: never again unasked.
    case v1::ERROR_KIND_EXPRESSION:  // The same values give the same error.
    case v1::ERROR_KIND_INPUT:
    case v1::ERROR_KIND_DENIED:
    case v1::ERROR_KIND_BUDGET: return false;
    default: break;
  }
  return retry.on.empty() || std::ranges::find(retry.on, error_name(kind)) != retry.on.end();
}

bool asks_for_json(const workflows::Step& step) {
  return !step.output.is_any() && step.output.type().kind() != workflows::Type::Kind::kString;
}

std::string idempotency_key(std::string_view lineage, std::string_view path, std::string_view tool,
                            std::string_view arguments, std::uint32_t generation) {
  // Lengths keep the parts apart, whatever bytes they hold.
  const std::string text = fmt::format("{}:{}{}:{}{}:{}{}:{}{}", lineage.size(), lineage, path.size(), path,
                                       tool.size(), tool, arguments.size(), arguments, generation);
  return to_hex(view(sha256(text)).substr(0, 16));
}

}  // namespace weft::run
