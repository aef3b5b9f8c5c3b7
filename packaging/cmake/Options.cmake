# Build options, warnings, sanitizers and hardening, all in the one INTERFACE target restante_options.
option(BUILD_TESTING "Build unit tests" ON)
option(RESTANTE_WERROR "Warnings are errors" OFF)
option(RESTANTE_TESTING "Compile kill points and the shiftable clock (never in packages)" OFF)
option(RESTANTE_HARDEN "Hardening flags for release builds" OFF)
option(RESTANTE_COVERAGE "gcov instrumentation" OFF)
option(RESTANTE_FUZZ "Build libFuzzer targets (needs clang)" OFF)
set(RESTANTE_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(restante_options INTERFACE)
target_compile_definitions(restante_options INTERFACE _GNU_SOURCE RESTANTE_VERSION="${PROJECT_VERSION}"
    RESTANTE_SYSCONFDIR="${CMAKE_INSTALL_FULL_SYSCONFDIR}")
target_compile_options(restante_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes
    -Wstrict-prototypes -Wformat=2 -Wvla -Wpointer-arith -Wwrite-strings -fno-common)
if(RESTANTE_WERROR)
    target_compile_options(restante_options INTERFACE -Werror)
endif()
if(RESTANTE_TESTING)
    target_compile_definitions(restante_options INTERFACE RESTANTE_TESTING=1)
endif()
if(RESTANTE_SANITIZE)
    target_compile_options(restante_options INTERFACE -fsanitize=${RESTANTE_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    target_link_options(restante_options INTERFACE -fsanitize=${RESTANTE_SANITIZE})
endif()
if(RESTANTE_COVERAGE)
    target_compile_options(restante_options INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(restante_options INTERFACE --coverage)
endif()
if(RESTANTE_FUZZ)
    target_compile_options(restante_options INTERFACE -fsanitize=fuzzer-no-link -fprofile-instr-generate
        -fcoverage-mapping)
    target_link_options(restante_options INTERFACE -fprofile-instr-generate)
endif()
if(RESTANTE_HARDEN)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    target_compile_options(restante_options INTERFACE -fstack-protector-strong -fstack-clash-protection
        -fcf-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -ftrivial-auto-var-init=zero)
    target_link_options(restante_options INTERFACE -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
        -Wl,--as-needed)
endif()
