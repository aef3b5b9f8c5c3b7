# restante_room(NAME DIR <dir> [SOURCES ...] [PUBLIC ...] [PRIVATE ...])
# A static library NAME for the folder DIR (relative to the current source folder). Its headers are included as
# "<last part of DIR>/x.h", and only by targets that link NAME: each room's include path is a folder of its own in
# the build tree that holds nothing but a link to that room.
function(restante_room name)
    cmake_parse_arguments(ROOM "" "DIR" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
    get_filename_component(leaf ${ROOM_DIR} NAME)
    set(include_root ${PROJECT_BINARY_DIR}/include/${name})
    file(MAKE_DIRECTORY ${include_root})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${ROOM_DIR} ${include_root}/${leaf} SYMBOLIC)
    list(TRANSFORM ROOM_SOURCES PREPEND ${ROOM_DIR}/)
    if(ROOM_SOURCES)
        add_library(${name} STATIC ${ROOM_SOURCES})
        target_include_directories(${name} PUBLIC ${include_root})
        target_link_libraries(${name} PUBLIC ${ROOM_PUBLIC} PRIVATE restante_options ${ROOM_PRIVATE})
    else()
        add_library(${name} INTERFACE)
        target_include_directories(${name} INTERFACE ${include_root})
        target_link_libraries(${name} INTERFACE ${ROOM_PUBLIC})
    endif()
endfunction()

# restante_unit(NAME SOURCE ... LINK ...): one cmocka program, run by ctest with its own name.
function(restante_unit name)
    cmake_parse_arguments(UNIT "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${UNIT_SOURCES})
    target_link_libraries(${name} PRIVATE restante_options ${UNIT_LINK} PkgConfig::CMOCKA)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endfunction()

# restante_fuzz(NAME SOURCE LINK ...): one libFuzzer program, only in fuzz builds.
function(restante_fuzz name source)
    if(RESTANTE_FUZZ)
        add_executable(${name} ${source})
        target_link_libraries(${name} PRIVATE restante_options ${ARGN})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    endif()
endfunction()
