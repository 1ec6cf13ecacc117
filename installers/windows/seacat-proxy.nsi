; The installer for Windows. Made on any system, beside programs that were built for Windows:
;
;   makensis -DVERSION=1.2.3 -DPROGRAMS=folder\with\programs installers/windows/seacat-proxy.nsi
;
; It asks nothing but the folder; seacat-proxy-1.2.3-setup.exe /S [/D=folder] asks nothing at all, and
; uninstall.exe /S removes. Settings and identities belong to the users and stay.

Unicode true
!include "x64.nsh"

!ifndef VERSION
  !error "say -DVERSION=1.2.3"
!endif
!ifndef PROGRAMS
  !error "say -DPROGRAMS=folder with the programs"
!endif

!define NAME "SeaCat Proxy"
!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\SeaCatProxy"

Name "${NAME}"
OutFile "seacat-proxy-${VERSION}-setup.exe"
InstallDir "$PROGRAMFILES64\${NAME}"
InstallDirRegKey HKLM "${KEY}" "InstallLocation"
RequestExecutionLevel admin
SetCompressor /SOLID lzma
ManifestDPIAware true
XPStyle on

VIProductVersion "${VERSION}.0"
VIAddVersionKey ProductName "${NAME}"
VIAddVersionKey FileDescription "${NAME}"
VIAddVersionKey FileVersion "${VERSION}"
VIAddVersionKey LegalCopyright "The authors of SeaCat Proxy, BSD-3-Clause"

Page directory
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

Function .onInit
  ${IfNot} ${RunningX64}
    MessageBox MB_ICONSTOP "${NAME} needs a 64-bit Windows." /SD IDOK
    SetErrorLevel 1
    Abort
  ${EndIf}
  ; The 64-bit view: our registry keys are those of a 64-bit program.
  SetRegView 64
FunctionEnd

Function un.onInit
  SetRegView 64
FunctionEnd

Section
  SetShellVarContext all
  SetOutPath "$INSTDIR"
  ; A program that runs cannot be replaced: Windows asks to end it, and with /S the installer fails.
  File "${PROGRAMS}\seacat-proxy.exe"
  File "${PROGRAMS}\seacat-gateway.exe"
  File "${PROGRAMS}\seacat-proxy-window.exe"
  File "${PROGRAMS}\WebView2Loader.dll"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\seacat-proxy-window.exe"

  WriteRegStr HKLM "${KEY}" "DisplayName" "${NAME}"
  WriteRegStr HKLM "${KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${KEY}" "DisplayIcon" "$INSTDIR\seacat-proxy-window.exe"
  WriteRegStr HKLM "${KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKLM "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${KEY}" "NoModify" 1
  WriteRegDWORD HKLM "${KEY}" "NoRepair" 1
SectionEnd

Section "Uninstall"
  SetShellVarContext all
  Delete "$SMPROGRAMS\${NAME}.lnk"
  Delete "$INSTDIR\seacat-proxy.exe"
  Delete "$INSTDIR\seacat-gateway.exe"
  Delete "$INSTDIR\seacat-proxy-window.exe"
  Delete "$INSTDIR\WebView2Loader.dll"
  Delete "$INSTDIR\uninstall.exe"
  ; Only when it is empty: whoever put something into it wants it.
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${KEY}"
SectionEnd
