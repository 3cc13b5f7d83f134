// What ThreadSanitizer is told to overlook in our tests.
//
// The reference count of a std::exception_ptr is kept by libstdc++'s shared library, which is not built for ThreadSanitizer: it does
// not see the atomic operations that order "the last look at an exception" before "it is freed", and reports the two as a race
// whenever an exception crosses threads. Only that one function is named.
extern "C" const char* __tsan_default_suppressions();  // NOLINT: the sanitizer's name
extern "C" const char* __tsan_default_suppressions() { return "race:std::__exception_ptr::exception_ptr::_M_release\n"; }  // NOLINT
