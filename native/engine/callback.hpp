// Non-owning reference to a function, passed to code that is compiled once for all its callers.
#pragma once

#include "engine/simd.hpp"

namespace elman::ELMAN_ISA {

// The function must outlive the call that it is passed to. A default-constructed callback does nothing.
template <class... Arguments>
class Callback {
 public:
  Callback() = default;
  template <class F>
  Callback(const F& f)
      : function_(&f),
        call_([](const void* function, Arguments... arguments) { (*static_cast<const F*>(function))(arguments...); }) {}

  void operator()(Arguments... arguments) const {
    if (call_) call_(function_, arguments...);
  }

 private:
  const void* function_ = nullptr;
  void (*call_)(const void*, Arguments...) = nullptr;
};

}  // namespace elman::ELMAN_ISA
