#include "runtime/cli/one_run.h"

#include <nlohmann/json.hpp>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/json_view.h"

namespace weft::cli {

Result<std::unique_ptr<Target>> open_existing(const Context& context) {
  WEFT_TRY(const Place place, place_for(context, Use::kRead));
  if (place.server.empty() && !place.store_exists) return no_store(place.store);
  return open_engine(place);
}

void print_run(const Context& context, const v1::Run& run) {
  if (context.terminal.is_text()) {
    context.terminal.out_line(run_line(run, context.terminal.out_look()));
  } else {
    context.terminal.out_line(to_text(run_row_json(run)));
  }
}

}  // namespace weft::cli
